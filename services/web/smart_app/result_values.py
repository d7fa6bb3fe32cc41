"""What each result meant on its day, by the limits in force now: the rules are asked, never copied.

A row tells where a value lies; what follows from it is the assessment's to say, which weighs the
rest of the chart.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from typing import NamedTuple

from mappings.publications.guideline import Cutoff, Undecided
from mappings.text import amount, say
from services.assessment.evidence import Outcome, under
from services.chart.model import Chart, Measurement, Medication
from services.knowledge.site import Known
from services.sarcopenia.assess import REASONS
from services.sarcopenia.measures import Tested, read_test
from services.vitamin_b12.findings import is_pregnant
from services.vitamin_b12.results import (
    Incomparable,
    Reading,
    by_common_limits,
    kidneys,
    locator_text,
    read_first_line,
    read_metabolite,
)
from services.web.chart_data import Tone
from services.web.smart_app.caveats import STANDS, doubt_of_level, doubt_of_metabolite, is_undated

TONES: dict[str, Tone] = {
    **dict.fromkeys(("deficient", "grossly_raised", "severe_anaemia", "low"), "bad"),
    **dict.fromkeys(
        ("indeterminate", "high", "raised", "anaemia", "macrocytosis", "impaired"), "watch"
    ),
    **dict.fromkeys(("unlikely", "normal", "working"), "good"),
}
WITHIN = say("within the limits")
OF_MUSCLE = frozenset({"grip_strength", "gait_speed"})  # of those that have a trend


class Meaning(NamedTuple):
    """What a value means; `limit` and `locator` say by what."""

    says: str
    tone: Tone = "plain"
    limit: str = ""
    locator: str = ""
    note: str = ""  # why it must not be read as it stands
    outcome: Outcome | None = None  # by the limits of B12 and blood; None: by others, or undecided


class Row(NamedTuple):
    """One result of a trend; of muscle the best trial of its day."""

    result: Measurement
    meaning: Meaning


def rows(name: str, unit: str, chart: Chart, known: Known) -> tuple[Row, ...]:
    """Every usable result of `name` in `unit`, newest first, each with its meaning."""
    results = [r for r in chart.measurements.get(name, ()) if r.unit == unit]
    if name in OF_MUSCLE:
        return tuple(_muscle(name, results, chart, known))
    read = READERS[name]
    told = tuple(Row(r, _aged(read, r, as_then(chart, r.day, (r,)), known)) for r in results)
    return tuple(map(_in_doubt, told)) if is_undated(name, chart, known) else told


def _in_doubt(row: Row) -> Row:
    if row.meaning.note or row.meaning.outcome in STANDS:
        return row
    note = say("B12 is on record without a start: whether it was given by then is not known.")
    return row._replace(meaning=row.meaning._replace(note=note, tone="plain"))


def as_then(chart: Chart, day: date, results: Sequence[Measurement]) -> Chart:
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
            concept: tuple(_then(d, day) for d in drugs if d.start is not None and d.start < day)
            for concept, drugs in chart.medications.items()
        },
        orders={},
    )


def _then(drug: Medication, day: date) -> Medication:
    """A course that ended later was under way; one drug on record as past has ended by its day."""
    under_way = drug.status == "current" if drug.end is None else drug.end >= day
    return drug._replace(status="current" if under_way else "past")


def _aged(
    read: Callable[[Measurement, Chart, Known], Meaning],
    result: Measurement,
    then: Chart,
    known: Known,
) -> Meaning:
    years = known.b12.guideline.minimum_age
    if then.age_at_least(years) is False:
        return Meaning(say("not applied: {why}", why=under(years)))
    return read(result, then, known)


def _of_reading(read: Reading | Incomparable, note: str = "") -> Meaning:
    if isinstance(read, Incomparable):
        return Meaning(read.reason.value, note=note)
    tone = "plain" if note else TONES[read.means]
    says, outcome = read.means.replace("_", " "), Outcome(read.means)
    return Meaning(says, tone, read.limit, read.locator, note, outcome)


def _first_line(result: Measurement, then: Chart, known: Known) -> Meaning:
    read = read_first_line(result, then, known.b12)
    return _of_reading(read, doubt_of_level(result, read, then, known))


def _metabolite(result: Measurement, then: Chart, known: Known) -> Meaning:
    read = read_metabolite(result.observation, then, known.b12)
    if read is None:
        return Meaning(Undecided.NO_LIMIT.value)
    return _of_reading(read, doubt_of_metabolite(read, then, known))


def _blood(result: Measurement, then: Chart, known: Known) -> Meaning:
    name, limits = result.observation, known.b12.laboratory
    pregnant = is_pregnant(then, known.b12)
    read = by_common_limits(name, then, known.b12, pregnant=pregnant)
    if read is not None:
        return _of_reading(read)
    # None stands for "not remarkable" and for "not comparable": these are kept apart here.
    printed = limits.rows(name, result.unit)
    if _own_limit(result) is None and then.sex is None and any(row.sex for row in printed):
        return Meaning(REASONS["sex"])
    row = limits.read(
        name, result.value, result.comparator, result.unit, sex=then.sex, pregnant=pregnant
    )
    if isinstance(row, Undecided):
        return Meaning(row.value)
    return Meaning(WITHIN, "good", *_edge(result, printed, then.sex, pregnant=pregnant))


def _own_limit(result: Measurement) -> float | None:
    """The laboratory's own edge, by which the rules call a blood count remarkable or not."""
    if result.comparator is not None:
        return None
    return result.reference_high if result.observation == "mcv" else result.reference_low


def _edge(
    result: Measurement, printed: Sequence[Cutoff], sex: str | None, *, pregnant: bool
) -> tuple[str, str]:
    """The limit that a value within it was compared with, and where it stands."""
    own = _own_limit(result)
    if own is not None:
        edge = amount(own, result.unit)
        limit = say("above {amount}", amount=edge)
        if result.observation != "mcv":
            limit = say("below {amount}", amount=edge)
        return limit, "the laboratory's reference range"
    rows = [r for r in printed if r.sex in (None, sex) and r.pregnant in (None, pregnant)]
    return (str(rows[-1]), locator_text(rows[-1])) if rows else ("", "")


def _kidneys(result: Measurement, then: Chart, known: Known) -> Meaning:
    limits = known.b12.laboratory
    read = limits.read(result.observation, result.value, result.comparator, result.unit)
    if isinstance(read, Undecided):
        return Meaning(read.value)
    status, _egfr = kidneys(then, known.b12)
    row = limits.rows(result.observation, result.unit)[0]
    return Meaning(status, TONES[status], str(row), locator_text(row))


READERS: dict[str, Callable[[Measurement, Chart, Known], Meaning]] = {
    "total_b12": _first_line,
    "active_b12": _first_line,
    "methylmalonic_acid": _metabolite,
    "homocysteine": _metabolite,
    "hemoglobin": _blood,
    "mcv": _blood,
    "egfr": _kidneys,
}


def _muscle(name: str, results: Sequence[Measurement], chart: Chart, known: Known) -> Iterator[Row]:
    for day in dict.fromkeys(result.day for result in results):
        of_day = [r for r in results if r.day == day]
        then = as_then(chart, day, of_day)
        tested = read_test(name, of_day, then, known.muscle)
        best = (tested and tested.result) or max(of_day, key=lambda r: r.value)
        yield Row(best, _of_test(tested, then, known))


def _of_test(tested: Tested | None, then: Chart, known: Known) -> Meaning:
    years = known.muscle.definition.minimum_age
    if then.age_at_least(years) is False:
        return Meaning(say("not applied: {why}", why=under(years)))
    if tested is None:
        return Meaning(Undecided.NO_LIMIT.value)
    if tested.level == "unknown":
        return Meaning(REASONS[tested.why])
    row = tested.row
    if row is None:
        return Meaning(tested.level, TONES[tested.level])
    return Meaning(tested.level, TONES[tested.level], str(row), locator_text(row))
