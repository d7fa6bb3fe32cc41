"""The detail of a B12 card: GFM without HTML, every value with its date and limit."""

from collections.abc import Iterable, Iterator
from datetime import date

from cds_hooks.cards import (
    escape_markdown,
)
from services.chart import Chart
from services.knowledge import Known
from services.notes import Evidence
from services.vitamin_b12.outcome import Assessment
from services.vitamin_b12.summary import unit_text
from services.vitamin_b12.wording import FLAGS, KEYS, NEXT_STEPS

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
    parts = [
        _table(assessment.evidence, known.templates.locale),
        _on_record(assessment),
        _bullets("Next", (NEXT_STEPS.get(s) for s in _steps_told(assessment)), MOST_STEPS),
        _bullets("Mind", (FLAGS.get(f) for f in _flags_told(assessment)), MOST_FLAGS),
        _indicator_line(assessment),
        _gaps(chart),
        _source(assessment, known),
    ]
    return "\n\n".join(part for part in parts if part)


def _table(evidence: Iterable[Evidence], locale: str) -> str:
    rows = [e for e in evidence if e.value is not None and e.unit is not None][:MOST_ROWS]
    if not rows:
        return ""
    lines = ["| Result | Value | Date | Compared with |", "|---|---|---|---|"]
    for row in rows:
        value = unit_text(f"{row.comparator or ''}{row.value:g} {row.unit}", locale)
        limit = unit_text(row.limit or "", locale) or "no limit applied"
        cells = (_cell(row.says), _cell(value), _day(row.day), _cell(limit))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(text: str) -> str:
    return text.replace("|", "/").replace("<", "&lt;").replace(">", "&gt;")


def _day(day: date | None) -> str:
    return f"{day.day} {day:%b %Y}" if day else "undated"


def _on_record(assessment: Assessment) -> str:
    """What is on record besides the results, each once."""
    seen: dict[str, None] = {}
    for evidence in assessment.evidence:
        if evidence.value is None and evidence.rule not in REASONS:
            when = f" ({_day(evidence.day)})" if evidence.day else ""
            seen.setdefault(f"{_cell(evidence.says)}{when}")
    if not seen:
        return ""
    return "**On record:** " + "; ".join(list(seen)[:MOST_ROWS]) + "."


def _bullets(title: str, sentences: Iterable[str | None], most: int) -> str:
    kept = [sentence for sentence in sentences if sentence][:most]
    return f"**{title}**\n\n" + "\n".join(f"- {s}" for s in kept) if kept else ""


def _steps_told(assessment: Assessment) -> Iterator[str]:
    """The steps that say something of their own: how to start says that to start."""
    untold = {"start-b12-replacement"} if {*assessment.next_steps} & STARTS else set()
    if assessment.category == "on-treatment":
        untold.add("review-symptoms-3-months")
    return (step for step in assessment.next_steps if step not in untold)


def _flags_told(assessment: Assessment) -> Iterator[str]:
    """The flags that say something of their own: why kidneys matter is said once."""
    confounded = "flag-renal-confounding" in assessment.flags
    return (f for f in assessment.flags if not (confounded and f in RENAL))


def _indicator_line(assessment: Assessment) -> str:
    combined = assessment.combined_indicator
    if combined is None or combined.value is None:
        return ""
    words = (combined.klass or "").replace("-", " ")
    return (
        f"Combined indicator cB12 {combined.value:g} ({words}); for information, "
        "it did not move the finding."
    )


def _gaps(chart: Chart) -> str:
    missing = [KEYS[key] for key in KEYS if key in chart.unknown]
    partly = [KEYS[key] for key in KEYS if key in chart.incomplete and key not in chart.unknown]
    said = []
    if missing:
        said.append(f"Could not be checked: {', '.join(missing)}.")
    if partly:
        said.append(f"Only a part was available: {', '.join(partly)}.")
    unread = sum(chart.dropped.get(reason, 0) for reason in UNREADABLE)
    if unread:
        said.append(f"{unread} unreadable result{'s' if unread > 1 else ''} not used.")
    return " ".join(said)


def _source(assessment: Assessment, known: Known) -> str:
    guideline = known.b12.guideline
    located = [e.locator for e in assessment.evidence if e.rule == "first-line-band" and e.locator]
    where = f" ({located[0]})" if located else ""
    treated = [e for e in assessment.evidence if e.rule == "treatment"]
    regimen = f"\n\nRegimen: {treated[0].says} ({treated[0].locator})" if treated else ""
    laboratory = (
        f" Limits of the laboratory: {escape_markdown(guideline.laboratory)}."
        if guideline.laboratory
        else ""
    )
    return (
        f"Source: {guideline.citation}{where} Rules {guideline.id} version {guideline.version}. "
        f"{guideline.strength}{laboratory}{regimen}"
    )
