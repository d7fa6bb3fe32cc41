"""The B12 part of a card: when it is shown, its indicator, its detail."""

from collections.abc import Iterable, Iterator

from cds_hooks.protocol.cards import Indicator, escape_markdown
from mappings.text import amount, say
from services.assessment.evidence import Evidence
from services.cards.b12_summary import unit_text
from services.cards.markdown import bullets, cell, gaps, when
from services.chart.model import Chart
from services.evaluation.order_session import Session
from services.knowledge.language import Language
from services.knowledge.site import Known
from services.vitamin_b12.labels import FLAGS, KEYS, NEXT_STEPS, TITLES
from services.vitamin_b12.orders import TESTS, on_its_way, suggested
from services.vitamin_b12.outcome import DEFICIENT, Assessment
from services.vitamin_b12.results import FIRST_LINE

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


INDICATOR_CLASSES = ("probable deficiency", "possible deficiency", "low", "adequate", "elevated")
UNREADABLE = ("no-unit", "unknown-unit", "undated", "impossible-value")


MOST_STEPS = 5


MOST_FLAGS = 4


MOST_ROWS = 8


RENAL = frozenset({"interpret-mma-with-renal-function", "interpret-hcy-with-renal-function"})


# Evidence that gives a reason rather than a finding; the steps and the source line say it.
REASONS = frozenset(
    {"treatment", "second-test", "offer-test", "medicine", "pregnancy", "macrocytosis"}
)


STARTS = frozenset(
    {"start-im-b12", "start-im-b12-neuro-regimen", "im-or-high-dose-oral-shared-decision"}
)


def detail(assessment: Assessment, chart: Chart, known: Known) -> str:
    """GFM without HTML: results with dates and limits, why, what next, what misleads, source."""
    said = known.language
    parts = [
        _table(assessment.evidence, known.templates.locale, said),
        _on_record(assessment, said),
        bullets("Next", (NEXT_STEPS.get(s) for s in steps_told(assessment)), MOST_STEPS, said),
        bullets("Mind", (FLAGS.get(f) for f in flags_told(assessment)), MOST_FLAGS, said),
        _indicator_line(assessment, said),
        _gaps(chart, said),
        _source(assessment, known),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(evidence: Iterable[Evidence], locale: str, said: Language) -> str:
    rows = [e for e in evidence if e.value is not None and e.unit is not None][:MOST_ROWS]
    if not rows:
        return ""
    heads = ("Result", "Value", "Date", "Compared with")
    lines = [f"| {' | '.join(map(said, heads))} |", "|---|---|---|---|"]
    for row in rows:
        value = unit_text(said(amount(row.value or 0.0, row.unit or "", row.comparator)), locale)
        limit = unit_text(said(row.limit or "no limit applied"), locale)
        cells = (cell(said(row.says)), cell(value), when(row.day, said), cell(limit))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _on_record(assessment: Assessment, said: Language) -> str:
    """What is on record besides the results, each once."""
    seen: dict[str, None] = {}
    for evidence in assessment.evidence:
        if evidence.value is None and evidence.rule not in REASONS:
            dated = f" ({said.day(evidence.day)})" if evidence.day else ""
            seen.setdefault(f"{cell(said(evidence.says))}{dated}")
    if not seen:
        return ""
    return f"**{said('On record')}:** {'; '.join(list(seen)[:MOST_ROWS])}."


def steps_told(assessment: Assessment) -> Iterator[str]:
    """The steps that say something of their own: how to start says that to start."""
    untold = {"start-b12-replacement"} if {*assessment.next_steps} & STARTS else set()
    if assessment.category == "on-treatment":
        untold.add("review-symptoms-3-months")
    return (step for step in assessment.next_steps if step not in untold)


def flags_told(assessment: Assessment) -> Iterator[str]:
    """The flags that say something of their own: why kidneys matter is said once."""
    confounded = "flag-renal-confounding" in assessment.flags
    return (f for f in assessment.flags if not (confounded and f in RENAL))


def _indicator_line(assessment: Assessment, said: Language) -> str:
    combined = assessment.combined_indicator
    if combined is None or combined.value is None:
        return ""
    words = (combined.klass or "").replace("-", " ")
    return said(
        say(
            "Combined indicator cB12 {value} ({words}); for information, "
            "it did not move the finding.",
            value=combined.value,
            words=words,
        )
    )


def _gaps(chart: Chart, said: Language) -> str:
    told = list(gaps(chart, KEYS, said))
    unread = sum(chart.dropped.get(reason, 0) for reason in UNREADABLE)
    if unread == 1:
        told.append(said("1 unreadable result not used."))
    elif unread:
        told.append(said(say("{number} unreadable results not used.", number=unread)))
    return " ".join(told)


def _source(assessment: Assessment, known: Known) -> str:
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
    rules = say("Rules {id} version {version}.", id=guideline.id, version=guideline.version)
    return (
        f"{said('Source')}: {guideline.citation}{where} {said(rules)} "
        f"{said(guideline.strength)}{laboratory}{regimen}"
    )
