"""The detail of a B12 card: GFM without HTML, every value with its date and limit."""

from collections.abc import Iterable, Iterator

from cds_hooks.cards import (
    escape_markdown,
)
from mappings.said import amount, say
from services.chart import Chart
from services.detail import bullets, cell, gaps, when
from services.knowledge import Known
from services.language import Language
from services.notes import Evidence
from services.vitamin_b12.outcome import Assessment
from services.vitamin_b12.summary import unit_text
from services.vitamin_b12.wording import FLAGS, KEYS, NEXT_STEPS

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
