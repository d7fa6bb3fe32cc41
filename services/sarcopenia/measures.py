"""Compare a measure of strength, mass or performance with the limits of one definition."""

from collections.abc import Iterable, Sequence
from itertools import product
from typing import NamedTuple

from mappings.publications.cutoffs import Cutoff, Undecided
from services.assessment.codes import Level, UnknownLevelReason
from services.chart.model import (
    Chart,
    FailedTest,
    Measurement,
    UnusableReason,
    UnusableResult,
    subtract_months,
)
from services.sarcopenia.knowledge import SarcopeniaKnowledge

SEXES = ("male", "female")
METHODS = ("DXA", "BIA")
LEVELS = {
    "low_strength": Level.LOW,
    "low_mass": Level.LOW,
    "low_performance": Level.LOW,
    "positive_screen": Level.LOW,
    "intermediate_strength": Level.NORMAL,
}


class MeasureResult(NamedTuple):
    """The level of one measure, the limit it was compared with, or why there is no level."""

    observation: str
    level: Level
    result: Measurement | None = None  # None: nothing usable, or the test could not be done
    row: Cutoff | None = None  # the limit that it was compared with
    reason: UnknownLevelReason | UnusableReason | None = None  # why the level is unknown
    intermediate: bool = False
    resource: str = ""
    unable: FailedTest | None = None
    unusable: UnusableResult | None = None


def is_fresh(
    chart: Chart,
    knowledge: SarcopeniaKnowledge,
    measured: Measurement | FailedTest | UnusableResult,
) -> bool:
    """Whether a measure is recent enough to decide. An undated unreadable one counts as recent."""
    months = int(knowledge.policy["muscle_measure_max_age_months"])
    return measured.day is None or measured.day >= subtract_months(chart.today, months)


def decide(
    result: Measurement, chart: Chart, knowledge: SarcopeniaKnowledge
) -> MeasureResult | None:
    """The level of one result; None where the definition prints no limit for it.

    Where sex or method is not known, the limits of each are tried: what they agree on holds, and
    what they do not is unknown, with the reason.
    """
    definition, name = knowledge.definition, result.observation
    rows = definition.get_rows(name, result.unit)
    if not rows:
        return None
    sexes = (chart.sex,) if chart.sex or not any(r.sex for r in rows) else SEXES
    is_method_missing = result.method is None and any(row.method for row in rows)
    methods: Iterable[str | None] = METHODS if is_method_missing else (result.method,)
    read = {
        (sex, method): definition.interpret(
            name, result.value, result.comparator, result.unit, sex=sex, method=method
        )
        for sex, method in product(sexes, methods)
    }
    shown = next(
        (row for row in rows if row.sex in (None, *sexes) and row.method in (None, *methods)),
        rows[0],
    )
    if any(isinstance(row, Undecided) for row in read.values()):
        return MeasureResult(
            name, Level.UNKNOWN, result, shown, UnknownLevelReason.BOUND, resource=result.resource
        )
    levels = {key: _get_level(row) for key, row in read.items()}
    if len(set(levels.values())) > 1:
        by_sex = any(len({levels[s, m] for s in sexes}) > 1 for m in methods)
        why = UnknownLevelReason.SEX if by_sex else UnknownLevelReason.METHOD
        return MeasureResult(name, Level.UNKNOWN, result, shown, why, resource=result.resource)
    met = next((row for row in read.values() if isinstance(row, Cutoff)), None)
    return MeasureResult(
        name,
        next(iter(levels.values())),
        result,
        met or shown,
        intermediate=met is not None and met.means == "intermediate_strength",
        resource=result.resource,
    )


def _get_level(row: Cutoff | Undecided | None) -> Level:
    return LEVELS[row.means] if isinstance(row, Cutoff) else Level.NORMAL


def read_measure(
    observation: str,
    results: Sequence[Measurement],
    chart: Chart,
    knowledge: SarcopeniaKnowledge,
) -> MeasureResult | None:
    """Read the results of the newest day; None where nothing recent is on record.

    Of grip and walking the best trial of the day counts: one normal trial is normal, and low
    needs every trial to be low and none to be unreadable.
    """
    if not results and observation not in chart.unusable and observation not in chart.unable:
        return None
    fresh = [r for r in results if is_fresh(chart, knowledge, r)]
    unusable = [u for u in chart.unusable.get(observation, ()) if is_fresh(chart, knowledge, u)]
    failed = _find_failed_test(observation, fresh, chart, knowledge)
    if failed is not None:
        return failed
    if not fresh:
        if not unusable:
            return None
        first = unusable[0]
        return MeasureResult(
            observation, Level.UNKNOWN, reason=first.reason, resource=first.resource, unusable=first
        )
    day = fresh[0].day
    counted = [r for r in fresh if r.day == day]
    if observation not in knowledge.best_of_day:
        counted = counted[:1]
    counted.sort(key=lambda r: r.value, reverse=True)
    tested = [t for r in counted if (t := decide(r, chart, knowledge)) is not None]
    if not tested:
        return None
    unread = next((u for u in unusable if u.day is None or u.day >= day), None)
    best = next(
        (test for level in (Level.NORMAL, Level.UNKNOWN) for test in tested if test.level == level),
        tested[0],
    )
    if unread is not None and best.level == Level.LOW and observation in knowledge.best_of_day:
        return best._replace(
            level=Level.UNKNOWN, reason=UnknownLevelReason.BEST_TRIAL, unusable=unread
        )
    return best if unread is None else best._replace(unusable=unread)


def _find_failed_test(
    observation: str, fresh: list[Measurement], chart: Chart, knowledge: SarcopeniaKnowledge
) -> MeasureResult | None:
    """A test that could not be done, where that is the newest that is known of it."""
    failures = [u for u in chart.unable.get(observation, ()) if is_fresh(chart, knowledge, u)]
    if not failures or (fresh and fresh[0].day >= failures[0].day):
        return None
    failure = failures[0]
    meaning = knowledge.definition.find_unable(observation)
    level = LEVELS[meaning.means] if meaning else Level.UNKNOWN
    return MeasureResult(
        observation,
        level,
        reason=UnknownLevelReason.UNABLE,
        resource=failure.resource,
        unable=failure,
    )
