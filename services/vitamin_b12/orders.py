"""Choose order templates for the next steps; none that is ordered, given or resulted already."""

from collections.abc import Iterator
from datetime import timedelta

from mappings.actions.order_template import OrderTemplate, OrderTemplates
from services.assessment.b12_steps import B12Step
from services.chart.model import Chart, Order
from services.vitamin_b12.knowledge import B12Knowledge
from services.vitamin_b12.outcome import B12Assessment
from services.vitamin_b12.results import get_fresh

MAX_SUGGESTIONS = 4
RESULT_OF = {"order_cbc": "hemoglobin", "creatinine": "egfr"}  # where the result has another name
ALTERNATIVES = frozenset({B12Step.ORDER_TOTAL_OR_ACTIVE_B12})  # one of the tests suffices


def suggest_orders(
    assessment: B12Assessment, chart: Chart, knowledge: B12Knowledge, templates: OrderTemplates
) -> tuple[OrderTemplate, ...]:
    """Suggest at most four templates: treatment first, then tests in the order of their use."""
    templates_by_id: dict[str, OrderTemplate] = {}
    for template in _list_treatments(assessment, chart, knowledge, templates):
        templates_by_id[template.id] = template
    steps = {*assessment.next_steps}
    for step, names in knowledge.tests_by_step.items():
        if step in steps:
            offered = [templates.by_id[name] for name in names]
            if step in ALTERNATIVES and any(
                is_pending_or_resulted(t, chart, knowledge) for t in offered
            ):
                continue
            for template in offered:
                if not is_pending_or_resulted(template, chart, knowledge):
                    templates_by_id[template.id] = template
    return tuple(templates_by_id.values())[:MAX_SUGGESTIONS]


def _list_treatments(
    assessment: B12Assessment, chart: Chart, knowledge: B12Knowledge, templates: OrderTemplates
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


def list_open_orders(name: str, chart: Chart, knowledge: B12Knowledge) -> list[Order]:
    """Orders of a test that are drafted, or made and not forgotten; an undated one is open."""
    since = chart.today - timedelta(days=knowledge.policy["pending_order_days"])
    return [
        order
        for order in chart.orders.get(name, ())
        if order.status == "draft" or order.day is None or order.day >= since
    ]


def is_pending(name: str, chart: Chart, knowledge: B12Knowledge) -> bool:
    """Whether the test is drafted or ordered, and its result to be expected."""
    return bool(list_open_orders(name, chart, knowledge))


def is_pending_or_resulted(template: OrderTemplate, chart: Chart, knowledge: B12Knowledge) -> bool:
    """Whether the test is on its way, or has a recent result."""
    name = template.concept
    if is_pending(name, chart, knowledge) or chart.qualitative.get(name):
        return True
    return get_fresh(chart, RESULT_OF.get(name, name), knowledge) is not None
