"""Rules about drafted tests, a function each; texts are in mappings/clinical/order_rules.toml."""

from mappings.text import lowercase_first, make_text
from services.evaluation.order_proposals import (
    RuleResult,
    RuleResults,
    is_test_planned,
    propose_first_tests,
    propose_tests,
)
from services.evaluation.order_session import (
    UNMEASURED_CATEGORIES,
    OrderSession,
    Proposal,
    build_removal,
)
from services.vitamin_b12.orders import list_open_orders
from services.vitamin_b12.results import FIRST_LINE

NEUROPATHIC_SYMPTOMS = ("peripheral_neuropathy", "paraesthesia", "numbness")


def check_level_on_injections(session: OrderSession) -> RuleResults:
    """R15: only where injections are what treats; the test is not repeated under them."""
    if "suggest-cancel-repeat-b12" not in session.evaluation.b12.session_steps:
        return
    for order in session.find_tests(*FIRST_LINE)[:1]:
        steps = build_removal(order.resource, session.title(order.concept))
        proposal = Proposal(
            make_text("Cancel the test: {test}", test=session.title(order.concept)), steps
        )
        yield RuleResult("level", {}, (f"draft|{order.concept}",), (proposal,))


def check_duplicate_test(session: OrderSession) -> RuleResults:
    """Duplicate test: on its way, or twice in one session. A revised order is no second one."""
    if "suggest-cancel-repeat-b12" in session.evaluation.b12.session_steps:
        return
    for concept in (*FIRST_LINE, "methylmalonic_acid", "homocysteine"):
        drafted = session.find_tests(concept)
        open_orders = list_open_orders(concept, session.chart, session.knowledge.b12)
        references = {order.resource for order in drafted}
        elsewhere = {order.resource for order in open_orders} - references
        superfluous = drafted if elsewhere else drafted[1:]
        if not superfluous or (len(references) < len(drafted) and not elsewhere):
            continue
        title = session.title(concept)
        steps = build_removal(superfluous[0].resource, title)
        proposal = Proposal(make_text("Cancel the second order: {test}", test=title), steps)
        yield RuleResult("twice", {"test": title}, (f"draft|{concept}",), (proposal,))


def check_blood_count(session: OrderSession) -> RuleResults:
    """A count for macrocytosis or neuropathy, and B12 neither known nor ordered."""
    counts = session.find_tests("order_cbc")
    if not counts or session.category not in UNMEASURED_CATEGORIES or is_test_planned(session):
        return
    nerves = [name for name in NEUROPATHIC_SYMPTOMS if session.chart.has(name)]
    if not session.features.macrocytosis and not nerves:
        return
    reason = (
        make_text("Macrocytosis") if session.features.macrocytosis else session.title(nerves[0])
    )
    text_parts = {"why": lowercase_first(reason), "reason": reason}
    proposals = (*propose_first_tests(session), *propose_tests(session, ("order_folate",)))
    yield RuleResult("without-b12", text_parts, ("draft|order_cbc",), proposals)
