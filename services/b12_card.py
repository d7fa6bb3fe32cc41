"""The B12 part of a card: whether there is something to say, how urgent, and with which orders."""

from cds_hooks.cards import Indicator
from services.chart import Chart
from services.knowledge import Known
from services.vitamin_b12.outcome import Assessment
from services.vitamin_b12.wording import TITLES

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


def worth_showing(assessment: Assessment, chart: Chart, known: Known) -> tuple[bool, str | None]:
    """Whether there is something to say, and why it is withheld where there would be."""
    if assessment.category not in TITLES:
        return False, None
    if chart.deceased:
        return False, "b12:deceased"
    if assessment.category == "on-treatment" and not WORTH_A_WORD & {*assessment.next_steps}:
        return False, "b12:on-treatment"
    if _right_order_drafted(assessment, chart, known):
        return False, "b12:already-drafted"
    return True, None


def topic(category: str) -> str:
    """The stable, alphanumeric code of a kind of card."""
    return "b12" + "".join(part.capitalize() for part in category.replace("b12", "").split("-"))


def indicator(assessment: Assessment) -> Indicator:
    """Critical for harm at hand, warning for what needs a decision, info for the rest."""
    deficient = assessment.category in ("deficient", "deficient-functional")
    if assessment.urgency == "emergency" or (
        deficient and "do-not-give-folic-acid-alone" in assessment.session_steps
    ):
        return Indicator.CRITICAL
    if deficient or assessment.urgency == "urgent":
        return Indicator.WARNING
    return Indicator.INFO


def _right_order_drafted(assessment: Assessment, chart: Chart, known: Known) -> bool:
    """Whether the session already holds the treatment that the card would ask for."""
    if assessment.situation is None or chart.has("leber_optic_neuropathy"):
        return False
    if "do-not-give-folic-acid-alone" in assessment.session_steps:
        return False
    limit = known.b12.policy["therapeutic_oral_ug_per_day"]
    drafted = (
        medication
        for concept in known.b12.groups["replacement"]
        for medication in chart.medications.get(concept, ())
        if medication.status == "draft"
    )
    return any(
        m.parenteral or m.ug_per_day is None or m.ug_per_day >= limit
        if assessment.situation != "neurological"
        else m.parenteral or m.route is None
        for m in drafted
    )
