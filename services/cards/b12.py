"""The B12 part of a card: when it is shown, its indicator, its detail."""

from collections.abc import Iterable, Iterator

from cds_hooks.protocol.cards import Indicator, escape_markdown
from mappings.text import format_amount, make_text
from services.assessment.evidence import Evidence
from services.cards.b12_summary import spell_units
from services.cards.markdown import escape_cell, format_day, write_bullets, write_gaps
from services.chart.model import Chart
from services.evaluation.order_session import OrderSession
from services.knowledge.language import Language
from services.knowledge.site import SiteKnowledge
from services.vitamin_b12.labels import FLAGS, KEYS, NEXT_STEPS, TITLES
from services.vitamin_b12.orders import TESTS_BY_STEP, is_pending, suggest_orders
from services.vitamin_b12.outcome import DEFICIENT, B12Assessment
from services.vitamin_b12.results import FIRST_LINE

INSUFFICIENT_DOSE_STEPS = frozenset({"switch-to-im-or-oral-1mg"})
TEST_CATEGORIES = frozenset(
    {"at-risk-untested", "indeterminate", "insufficient-data", "uninterpretable"}
)
# On treatment, a card is shown for these alone; otherwise treatment is left in peace.
TREATMENT_REVIEW_STEPS = frozenset(
    {
        "suggest-cancel-repeat-b12",
        "increase-injection-frequency",
        "check-adherence",
        "switch-to-im-or-oral-1mg",
        "use-hydroxocobalamin",
    }
)


def should_show(assessment: B12Assessment, session: OrderSession) -> tuple[bool, str | None]:
    """Whether there is something to say, and why it is withheld where there would be."""
    if assessment.category not in TITLES:
        return False, None
    if session.chart.deceased:
        return False, "b12:deceased"
    if assessment.category == "on-treatment" and not TREATMENT_REVIEW_STEPS & {
        *assessment.next_steps
    }:
        return False, "b12:on-treatment"
    if session.has_treatment_draft:
        return False, "b12:already-drafted"
    if _is_test_ordered(assessment, session):
        return False, "b12:already-ordered"
    return True, None


def build_topic_code(category: str) -> str:
    """The stable, alphanumeric code of a kind of card."""
    return "b12" + "".join(part.capitalize() for part in category.replace("b12", "").split("-"))


def choose_indicator(assessment: B12Assessment) -> Indicator:
    """The indicator of a B12 card."""
    is_treated = assessment.situation is None and not INSUFFICIENT_DOSE_STEPS & {
        *assessment.next_steps
    }
    return find_indicator(assessment.category, assessment.urgency, is_treated=is_treated)


def find_indicator(category: str, urgency: str, *, is_treated: bool) -> Indicator:
    """Critical for harm at hand, warning for what needs a decision, info for the rest.

    `is_treated`: treatment that suffices has begun, so that no decision is left that cannot wait.
    """
    if urgency == "emergency":
        return Indicator.CRITICAL
    if (category in DEFICIENT and not is_treated) or urgency == "urgent":
        return Indicator.WARNING
    return Indicator.INFO


def _is_test_ordered(assessment: B12Assessment, session: OrderSession) -> bool:
    """Whether the test that the card would ask for is ordered, and nothing else is asked for."""
    chart, known = session.chart, session.knowledge
    if assessment.category not in TEST_CATEGORIES or assessment.urgent:
        return False
    if assessment.category in ("at-risk-untested", "insufficient-data"):
        return any(is_pending(name, chart, known.b12) for name in FIRST_LINE)
    steps = {*assessment.next_steps}
    concepts = {
        known.templates.by_id[name].concept
        for step, names in TESTS_BY_STEP.items()
        if step in steps
        for name in names
    }
    ordered = any(is_pending(concept, chart, known.b12) for concept in concepts)
    return ordered and not suggest_orders(assessment, chart, known.b12, known.templates)


COMBINED_INDICATOR_CLASSES = (
    "probable deficiency",
    "possible deficiency",
    "low",
    "adequate",
    "elevated",
)
UNREADABLE_REASONS = ("no-unit", "unknown-unit", "undated", "impossible-value")


MAX_STEPS = 5


MAX_FLAGS = 4


MAX_ROWS = 8


RENAL_FLAGS = frozenset({"interpret-mma-with-renal-function", "interpret-hcy-with-renal-function"})


# Evidence that gives a reason rather than a finding; the steps and the source line say it.
REASON_RULES = frozenset(
    {"treatment", "second-test", "offer-test", "medicine", "pregnancy", "macrocytosis"}
)


TREATMENT_START_STEPS = frozenset(
    {"start-im-b12", "start-im-b12-neuro-regimen", "im-or-high-dose-oral-shared-decision"}
)


def write_detail(assessment: B12Assessment, chart: Chart, known: SiteKnowledge) -> str:
    """GFM without HTML: results with dates and limits, why, what next, what misleads, source."""
    said = known.language
    parts = [
        _write_table(assessment.evidence, known.templates.locale, said),
        _list_findings(assessment, said),
        write_bullets(
            "Next", (NEXT_STEPS.get(s) for s in select_steps(assessment)), MAX_STEPS, said
        ),
        write_bullets("Mind", (FLAGS.get(f) for f in select_flags(assessment)), MAX_FLAGS, said),
        _write_combined_indicator(assessment, said),
        _write_gaps(chart, said),
        _write_source(assessment, known),
    ]
    return "\n\n".join(part for part in parts if part)


def _write_table(evidence: Iterable[Evidence], locale: str, said: Language) -> str:
    rows = [e for e in evidence if e.value is not None and e.unit is not None][:MAX_ROWS]
    if not rows:
        return ""
    heads = ("Result", "Value", "Date", "Compared with")
    lines = [f"| {' | '.join(map(said, heads))} |", "|---|---|---|---|"]
    for row in rows:
        value = spell_units(
            said(format_amount(row.value or 0.0, row.unit or "", row.comparator)), locale
        )
        limit = spell_units(said(row.limit or "no limit applied"), locale)
        cells = (
            escape_cell(said(row.says)),
            escape_cell(value),
            format_day(row.day, said),
            escape_cell(limit),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _list_findings(assessment: B12Assessment, said: Language) -> str:
    """What is on record besides the results, each once."""
    seen: dict[str, None] = {}
    for evidence in assessment.evidence:
        if evidence.value is None and evidence.rule not in REASON_RULES:
            dated = f" ({said.day(evidence.day)})" if evidence.day else ""
            seen.setdefault(f"{escape_cell(said(evidence.says))}{dated}")
    if not seen:
        return ""
    return f"**{said('On record')}:** {'; '.join(list(seen)[:MAX_ROWS])}."


def select_steps(assessment: B12Assessment) -> Iterator[str]:
    """The steps that say something of their own: how to start says that to start."""
    untold = (
        {"start-b12-replacement"} if {*assessment.next_steps} & TREATMENT_START_STEPS else set()
    )
    if assessment.category == "on-treatment":
        untold.add("review-symptoms-3-months")
    return (step for step in assessment.next_steps if step not in untold)


def select_flags(assessment: B12Assessment) -> Iterator[str]:
    """The flags that say something of their own: why kidneys matter is said once."""
    confounded = "flag-renal-confounding" in assessment.flags
    return (f for f in assessment.flags if not (confounded and f in RENAL_FLAGS))


def _write_combined_indicator(assessment: B12Assessment, said: Language) -> str:
    combined = assessment.combined_indicator
    if combined is None or combined.value is None:
        return ""
    words = (combined.class_name or "").replace("-", " ")
    return said(
        make_text(
            "Combined indicator cB12 {value} ({words}); for information, "
            "it did not move the finding.",
            value=combined.value,
            words=words,
        )
    )


def _write_gaps(chart: Chart, said: Language) -> str:
    told = list(write_gaps(chart, KEYS, said))
    unread = sum(chart.dropped.get(reason, 0) for reason in UNREADABLE_REASONS)
    if unread == 1:
        told.append(said("1 unreadable result not used."))
    elif unread:
        told.append(said(make_text("{number} unreadable results not used.", number=unread)))
    return " ".join(told)


def _write_source(assessment: B12Assessment, known: SiteKnowledge) -> str:
    guideline, said = known.b12.guideline, known.language
    located = [e.locator for e in assessment.evidence if e.rule == "first-line-band" and e.locator]
    where = f" ({located[0]})" if located else ""
    treated = [e for e in assessment.evidence if e.rule == "treatment"]
    regimen = (
        f"\n\n{said('Regimen')}: {said(treated[0].says)} ({treated[0].locator})" if treated else ""
    )
    laboratory = (
        f" {said('Limits of the laboratory')}: {escape_markdown(guideline.laboratory)}."
        if guideline.laboratory
        else ""
    )
    rules = make_text("Rules {id} version {version}.", id=guideline.id, version=guideline.version)
    return (
        f"{said('Source')}: {guideline.citation}{where} {said(rules)} "
        f"{said(guideline.strength)}{laboratory}{regimen}"
    )
