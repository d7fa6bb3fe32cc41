"""The B12 part of a card: whether there is something to say, how urgent, and with which orders."""

from cds_hooks.cards import Indicator
from services.order_entry.session import Session
from services.vitamin_b12.outcome import DEFICIENT, Assessment
from services.vitamin_b12.results import FIRST_LINE
from services.vitamin_b12.suggestions import TESTS, on_its_way, suggested
from services.vitamin_b12.wording import TITLES

INSUFFICIENT = frozenset({"switch-to-im-or-oral-1mg"})
ASKS_FOR_A_TEST = frozenset(
    {"at-risk-untested", "indeterminate", "insufficient-data", "uninterpretable"}
)
# On treatment, a card is shown for these alone; otherwise treatment is left in peace.
WORTH_A_WORD = frozenset(
    {
        "suggest-cancel-repeat-b12",
        "increase-injection-frequency",
        "check-adherence",
        "switch-to-im-or-oral-1mg",
        "use-hydroxocobalamin",
    }
)


def worth_showing(assessment: Assessment, session: Session) -> tuple[bool, str | None]:
    """Whether there is something to say, and why it is withheld where there would be."""
    if assessment.category not in TITLES:
        return False, None
    if session.chart.deceased:
        return False, "b12:deceased"
    if assessment.category == "on-treatment" and not WORTH_A_WORD & {*assessment.next_steps}:
        return False, "b12:on-treatment"
    if session.treatment_drafted:
        return False, "b12:already-drafted"
    if _test_on_its_way(assessment, session):
        return False, "b12:already-ordered"
    return True, None


def topic(category: str) -> str:
    """The stable, alphanumeric code of a kind of card."""
    return "b12" + "".join(part.capitalize() for part in category.replace("b12", "").split("-"))


def indicator(assessment: Assessment) -> Indicator:
    """Critical for harm at hand, warning for what needs a decision, info for the rest."""
    deficient = assessment.category in DEFICIENT
    if assessment.urgency == "emergency":
        return Indicator.CRITICAL
    # Once treatment that suffices has begun, there is no decision left that cannot wait.
    begun = assessment.situation is None and not INSUFFICIENT & {*assessment.next_steps}
    if (deficient and not begun) or assessment.urgency == "urgent":
        return Indicator.WARNING
    return Indicator.INFO


def _test_on_its_way(assessment: Assessment, session: Session) -> bool:
    """Whether the test that the card would ask for is ordered, and nothing else is asked for."""
    chart, known = session.chart, session.known
    if assessment.category not in ASKS_FOR_A_TEST or assessment.urgent:
        return False
    if assessment.category in ("at-risk-untested", "insufficient-data"):
        return any(on_its_way(name, chart, known.b12) for name in FIRST_LINE)
    steps = {*assessment.next_steps}
    concepts = {
        known.templates.by_id[name].concept
        for step, names in TESTS.items()
        if step in steps
        for name in names
    }
    ordered = any(on_its_way(concept, chart, known.b12) for concept in concepts)
    return ordered and not suggested(assessment, chart, known.b12, known.templates)
