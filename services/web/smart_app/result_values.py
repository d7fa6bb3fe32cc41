"""What each result meant on its day, by the limits in force now: the rules are asked, never copied.

A row tells where a value lies; what follows from it is the assessment's to say, which weighs the
rest of the chart.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from mappings.publications.cutoffs import Cutoff, Undecided
from mappings.text import format_amount, make_text
from services.assessment.evidence import Outcome, make_age_reason
from services.chart.model import Chart, Measurement, Medication
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.assess import REASONS
from services.sarcopenia.measures import MeasureResult, read_measure
from services.vitamin_b12.findings import is_pregnant
from services.vitamin_b12.results import (
    IncomparableResult,
    Reading,
    assess_kidneys,
    format_locator,
    read_by_common_limits,
    read_first_line,
    read_metabolite,
)
from services.web.chart_data import Tone
from services.web.smart_app.caveats import (
    DEFINITE_OUTCOMES,
    find_level_caveat,
    find_metabolite_caveat,
    is_undated,
)

MEANING_TONES: dict[str, Tone] = {
    **dict.fromkeys(("deficient", "grossly_raised", "severe_anaemia", "low"), "bad"),
    **dict.fromkeys(
        ("indeterminate", "high", "raised", "anaemia", "macrocytosis", "impaired"), "watch"
    ),
    **dict.fromkeys(("unlikely", "normal", "working"), "good"),
}
WITHIN_LIMITS = make_text("within the limits")
MUSCLE_TESTS = frozenset({"grip_strength", "gait_speed"})  # of those that have a trend


class ResultMeaning(NamedTuple):
    """What a value means; `limit` and `locator` say by what."""

    says: str
    tone: Tone = "plain"
    limit: str = ""
    locator: str = ""
    note: str = ""  # why it must not be read as it stands
    outcome: Outcome | None = None  # by the limits of B12 and blood; None: by others, or undecided


class ResultRow(NamedTuple):
    """One result of a trend; of muscle the best trial of its day."""

    result: Measurement
    meaning: ResultMeaning


def build_rows(name: str, unit: str, chart: Chart, known: SiteKnowledge) -> tuple[ResultRow, ...]:
    """Every usable result of `name` in `unit`, newest first, each with its meaning."""
    results = [r for r in chart.measurements.get(name, ()) if r.unit == unit]
    if name in MUSCLE_TESTS:
        return tuple(_build_muscle_rows(name, results, chart, known))
    read = INTERPRETERS[name]
    told = tuple(
        ResultRow(r, _interpret_by_age(read, r, build_chart_as_of(chart, r.day, (r,)), known))
        for r in results
    )
    return tuple(map(_add_undated_caveat, told)) if is_undated(name, chart, known) else told


def _add_undated_caveat(row: ResultRow) -> ResultRow:
    if row.meaning.note or row.meaning.outcome in DEFINITE_OUTCOMES:
        return row
    note = make_text("B12 is on record without a start: whether it was given by then is not known.")
    return row._replace(meaning=row.meaning._replace(note=note, tone="plain"))


def build_chart_as_of(chart: Chart, day: date, results: Sequence[Measurement]) -> Chart:
    """The chart as the rules would have seen it on `day`, with no results but these.

    What is undated is taken as it stands, except a drug: it is not known to have been taken.
    """
    name = results[0].observation
    return replace(
        chart,
        today=day,
        measurements={name: tuple(results)},
        unusable={name: tuple(u for u in chart.unusable.get(name, ()) if u.day == day)},
        unable={name: tuple(u for u in chart.unable.get(name, ()) if u.day == day)},
        findings={
            concept: tuple(f for f in found if f.onset is None or f.onset <= day)
            for concept, found in chart.findings.items()
        },
        medications={
            concept: tuple(
                _set_status_as_of(d, day) for d in drugs if d.start is not None and d.start < day
            )
            for concept, drugs in chart.medications.items()
        },
        orders={},
    )


def _set_status_as_of(drug: Medication, day: date) -> Medication:
    """A course that ended later was under way; one drug on record as past has ended by its day."""
    under_way = drug.status == "current" if drug.end is None else drug.end >= day
    return drug._replace(status="current" if under_way else "past")


def _interpret_by_age(
    read: Callable[[Measurement, Chart, SiteKnowledge], ResultMeaning],
    result: Measurement,
    then: Chart,
    known: SiteKnowledge,
) -> ResultMeaning:
    years = known.b12.guideline.minimum_age
    if then.has_reached_age(years) is False:
        return ResultMeaning(make_text("not applied: {why}", why=make_age_reason(years)))
    return read(result, then, known)


def _describe_reading(read: Reading | IncomparableResult, note: str = "") -> ResultMeaning:
    if isinstance(read, IncomparableResult):
        return ResultMeaning(read.reason.value, note=note)
    tone = "plain" if note else MEANING_TONES[read.means]
    says, outcome = read.means.replace("_", " "), Outcome(read.means)
    return ResultMeaning(says, tone, read.limit, read.locator, note, outcome)


def _interpret_first_line(result: Measurement, then: Chart, known: SiteKnowledge) -> ResultMeaning:
    read = read_first_line(result, then, known.b12)
    return _describe_reading(read, find_level_caveat(result, read, then, known))


def _interpret_metabolite(result: Measurement, then: Chart, known: SiteKnowledge) -> ResultMeaning:
    read = read_metabolite(result.observation, then, known.b12)
    if read is None:
        return ResultMeaning(Undecided.NO_LIMIT.value)
    return _describe_reading(read, find_metabolite_caveat(read, then, known))


def _interpret_blood_count(result: Measurement, then: Chart, known: SiteKnowledge) -> ResultMeaning:
    name, limits = result.observation, known.b12.laboratory
    pregnant = is_pregnant(then, known.b12)
    read = read_by_common_limits(name, then, known.b12, pregnant=pregnant)
    if read is not None:
        return _describe_reading(read)
    # None stands for "not remarkable" and for "not comparable": these are kept apart here.
    printed = limits.get_rows(name, result.unit)
    if (
        _find_laboratory_limit(result) is None
        and then.sex is None
        and any(row.sex for row in printed)
    ):
        return ResultMeaning(REASONS["sex"])
    row = limits.interpret(
        name, result.value, result.comparator, result.unit, sex=then.sex, pregnant=pregnant
    )
    if isinstance(row, Undecided):
        return ResultMeaning(row.value)
    return ResultMeaning(
        WITHIN_LIMITS, "good", *_describe_edge(result, printed, then.sex, pregnant=pregnant)
    )


def _find_laboratory_limit(result: Measurement) -> float | None:
    """The laboratory's own edge, by which the rules call a blood count remarkable or not."""
    if result.comparator is not None:
        return None
    return result.reference_high if result.observation == "mcv" else result.reference_low


def _describe_edge(
    result: Measurement, printed: Sequence[Cutoff], sex: str | None, *, pregnant: bool
) -> tuple[str, str]:
    """The limit that a value within it was compared with, and where it stands."""
    own = _find_laboratory_limit(result)
    if own is not None:
        edge = format_amount(own, result.unit)
        limit = make_text("above {amount}", amount=edge)
        if result.observation != "mcv":
            limit = make_text("below {amount}", amount=edge)
        return limit, "the laboratory's reference range"
    rows = [r for r in printed if r.sex in (None, sex) and r.pregnant in (None, pregnant)]
    return (str(rows[-1]), format_locator(rows[-1])) if rows else ("", "")


def _interpret_egfr(result: Measurement, then: Chart, known: SiteKnowledge) -> ResultMeaning:
    limits = known.b12.laboratory
    read = limits.interpret(result.observation, result.value, result.comparator, result.unit)
    if isinstance(read, Undecided):
        return ResultMeaning(read.value)
    status, _egfr = assess_kidneys(then, known.b12)
    row = limits.get_rows(result.observation, result.unit)[0]
    return ResultMeaning(status, MEANING_TONES[status], str(row), format_locator(row))


INTERPRETERS: dict[str, Callable[[Measurement, Chart, SiteKnowledge], ResultMeaning]] = {
    "total_b12": _interpret_first_line,
    "active_b12": _interpret_first_line,
    "methylmalonic_acid": _interpret_metabolite,
    "homocysteine": _interpret_metabolite,
    "hemoglobin": _interpret_blood_count,
    "mcv": _interpret_blood_count,
    "egfr": _interpret_egfr,
}


def _build_muscle_rows(
    name: str, results: Sequence[Measurement], chart: Chart, known: SiteKnowledge
) -> Iterator[ResultRow]:
    for day in dict.fromkeys(result.day for result in results):
        of_day = [r for r in results if r.day == day]
        then = build_chart_as_of(chart, day, of_day)
        tested = read_measure(name, of_day, then, known.muscle)
        best = (tested and tested.result) or max(of_day, key=lambda r: r.value)
        yield ResultRow(best, _describe_test(tested, then, known))


def _describe_test(
    tested: MeasureResult | None, then: Chart, known: SiteKnowledge
) -> ResultMeaning:
    years = known.muscle.definition.minimum_age
    if then.has_reached_age(years) is False:
        return ResultMeaning(make_text("not applied: {why}", why=make_age_reason(years)))
    if tested is None:
        return ResultMeaning(Undecided.NO_LIMIT.value)
    if tested.level == "unknown":
        return ResultMeaning(REASONS[tested.reason])
    row = tested.row
    if row is None:
        return ResultMeaning(tested.level, MEANING_TONES[tested.level])
    return ResultMeaning(tested.level, MEANING_TONES[tested.level], str(row), format_locator(row))
