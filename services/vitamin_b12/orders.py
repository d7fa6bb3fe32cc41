"""Which orders fit the next steps: nothing that is ordered, drafted, given or resulted already."""

from collections.abc import Iterator
from datetime import timedelta

from mappings.actions.order_template import OrderTemplate, OrderTemplates
from services.chart.model import Chart, Order
from services.vitamin_b12.knowledge import Knowledge
from services.vitamin_b12.outcome import Assessment
from services.vitamin_b12.results import fresh

MOST = 4
# Next steps that a test answers, the more useful first.
TESTS = {
    "order-hcy-or-mma": ("order_homocysteine", "order_mma"),
    "order-mma": ("order_mma",),
    "consider-mma": ("order_mma",),
    "order-active-b12": ("order_active_b12",),
    "consider-active-b12-or-mma": ("order_active_b12",),
    "consider-active-b12-or-urine-mma": ("order_active_b12",),
    "order-total-or-active-b12": ("order_total_b12", "order_active_b12"),
    "order-total-b12": ("order_total_b12",),
    "add-total-b12": ("order_total_b12",),
    "optional-consider-b12": ("order_total_b12",),
    "order-creatinine-egfr": ("order_creatinine_egfr",),
    "monitor-potassium": ("order_potassium",),
    "check-cbc": ("order_cbc",),
    "check-folate": ("order_folate",),
    "add-folate": ("order_folate",),
    "check-if-antibody": ("order_intrinsic_factor_antibody",),
    "coeliac-serology": ("order_coeliac_serology",),
}
RESULT_OF = {"order_cbc": "hemoglobin", "creatinine": "egfr"}  # where the result has another name
ALTERNATIVES = frozenset({"order-total-or-active-b12"})  # one of the tests suffices


def suggested(
    assessment: Assessment, chart: Chart, knowledge: Knowledge, templates: OrderTemplates
) -> tuple[OrderTemplate, ...]:
    """At most four templates, treatment first, then tests in the order of their use."""
    found: dict[str, OrderTemplate] = {}
    for template in _treatments(assessment, chart, knowledge, templates):
        found[template.id] = template
    steps = {*assessment.next_steps}
    for step, names in TESTS.items():
        if step in steps:
            offered = [templates.by_id[name] for name in names]
            if step in ALTERNATIVES and any(is_held(t, chart, knowledge) for t in offered):
                continue
            for template in offered:
                if not is_held(template, chart, knowledge):
                    found[template.id] = template
    return tuple(found.values())[:MOST]


def _treatments(
    assessment: Assessment, chart: Chart, knowledge: Knowledge, templates: OrderTemplates
) -> Iterator[OrderTemplate]:
    if assessment.situation is None or chart.findings.get("cobalamin_allergy"):
        return
    drafted = (m for c in knowledge.groups["replacement"] for m in chart.medications.get(c, ()))
    if any(medication.status in ("draft", "current") for medication in drafted):
        return
    names = knowledge.guideline.treatments[assessment.situation].templates
    if chart.has("leber_optic_neuropathy"):
        names = templates.leber
    # A guideline of one country with the orders of another may treat with what these do not have.
    yield from (templates.by_id[name] for name in names if name in templates.by_id)


def open_orders(name: str, chart: Chart, knowledge: Knowledge) -> list[Order]:
    """Orders of a test that are drafted, or made and not forgotten; an undated one is open."""
    since = chart.today - timedelta(days=knowledge.policy["pending_order_days"])
    return [
        order
        for order in chart.orders.get(name, ())
        if order.status == "draft" or order.day is None or order.day >= since
    ]


def on_its_way(name: str, chart: Chart, knowledge: Knowledge) -> bool:
    """Whether the test is drafted or ordered, and its result to be expected."""
    return bool(open_orders(name, chart, knowledge))


def is_held(template: OrderTemplate, chart: Chart, knowledge: Knowledge) -> bool:
    """Whether the test is on its way, or has a recent result."""
    name = template.concept
    if on_its_way(name, chart, knowledge) or chart.qualitative.get(name):
        return True
    return fresh(chart, RESULT_OF.get(name, name), knowledge) is not None
