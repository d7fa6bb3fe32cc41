"""The orders that a muscle finding suggests: panels of tests, referrals, the diagnosis code."""

from collections.abc import Iterator

from cds_hooks.protocol.cards import Suggestion
from mappings.actions.order_template import OrderTemplate, OrderTemplates
from mappings.text import make_text
from services.cards.draft_actions import draft_action
from services.chart.model import Chart
from services.evaluation.combination import Evaluation
from services.evaluation.order_session import OrderSession
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.labels import CATEGORIES
from services.sarcopenia.weight import get_recent

# Blood tests for other causes: the order, and the result that makes it needless.
CAUSES_PANEL = ("order_creatine_kinase", "order_tsh", "order_vitamin_d", "order_crp")
URGENT_PANEL = ("order_creatine_kinase", "order_creatinine_egfr", "order_potassium")
Panel = tuple[str, tuple[OrderTemplate, ...]]  # a label, and what is ordered together under it


def draft_muscle_suggestions(session: OrderSession) -> tuple[Suggestion, ...]:
    """Draft the orders of each panel as one suggestion; the first is recommended."""
    evaluation, knowledge = session.evaluation, session.knowledge
    muscle = evaluation.muscle
    reason = muscle.low[0].resource if muscle.low else None
    text = make_text("Muscle: {stage}", stage=CATEGORIES[muscle.category])
    return tuple(
        Suggestion(
            knowledge.language(label),
            tuple(draft_action(template, session, reason, text) for template in templates),
            is_recommended=place == 0,
        )
        for place, (label, templates) in enumerate(
            select_panels(evaluation, session.chart, knowledge)
        )
    )


def select_panels(
    evaluation: Evaluation, chart: Chart, knowledge: SiteKnowledge
) -> Iterator[Panel]:
    """Select the orders of each suggestion, the most useful first; none that is held already."""
    muscle, templates = evaluation.muscle, knowledge.templates
    steps = muscle.next_steps
    if "urgent_ck_rhabdo" in steps:
        # A recent result is the reason here, not a hindrance; an order on its way is one.
        by_id = templates.by_id
        yield from _build_panel(
            [n for n in URGENT_PANEL if not chart.orders.get(by_id[n].concept)], knowledge
        )
    if "refer_physio_resistance_exercise" in steps:
        yield from _build_single("refer_physiotherapy", chart, knowledge)
    if "assess_secondary_causes" in steps and "urgent_ck_rhabdo" not in steps:
        names = [n for n in CAUSES_PANEL if not _is_held(templates.by_id[n], chart, knowledge)]
        yield from _build_panel(names, knowledge)
    for step, name in (
        ("refer_dietitian_protein", "refer_dietitian"),
        ("order_muscle_mass_dxa_bia", "order_muscle_mass"),
        ("complete_sarc_f", "sarc_f_questionnaire"),
    ):
        if step in steps:
            yield from _build_single(name, chart, knowledge)
    if "neuro_exam" in steps and chart.has(knowledge.muscle.groups["neuropathic_sign"]):
        yield from _build_single("order_nerve_conduction", chart, knowledge)
    if muscle.confirmed and _can_be_coded(chart, knowledge, templates):
        yield templates.by_id["record_sarcopenia"].label, (templates.by_id["record_sarcopenia"],)


def _build_panel(names: list[str], knowledge: SiteKnowledge) -> Iterator[Panel]:
    """Several tests as one suggestion, named one by one."""
    orders = tuple(knowledge.templates.by_id[name] for name in names)
    if orders:
        tests = tuple(order.test for order in orders)
        yield make_text("Order {tests}", tests=tests), orders


def _build_single(name: str, chart: Chart, knowledge: SiteKnowledge) -> Iterator[Panel]:
    template = knowledge.templates.by_id[name]
    if not _is_held(template, chart, knowledge):
        yield template.label, (template,)


def _can_be_coded(chart: Chart, knowledge: SiteKnowledge, templates: OrderTemplates) -> bool:
    """M62.84 only where the locale has it, and never beside a code that it excludes."""
    excluded = knowledge.muscle.groups["sarcopenia_code_excluded"]
    return "record_sarcopenia" in templates.by_id and not chart.has(excluded)


def _is_held(template: OrderTemplate, chart: Chart, knowledge: SiteKnowledge) -> bool:
    """Whether the order is on its way, or its result recent."""
    if chart.orders.get(template.concept):
        return True
    return get_recent(template.concept, chart, knowledge.muscle) is not None
