"""What each result means by the guideline, in the unit in which it was reported."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from mappings.publications.cutoffs import Cutoff, Undecided
from mappings.text import Numeral, format_amount, make_text
from services.assessment.codes import B12Flag
from services.chart.model import Chart, Measurement, UnusableReason, subtract_months
from services.vitamin_b12.knowledge import B12Knowledge

FIRST_LINE = ("total_b12", "active_b12")
FLAGS_BY_REASON: Mapping[str, B12Flag] = {  # what an unusable result asks for (rule R20)
    UnusableReason.NO_UNIT: B12Flag.REQUEST_UNIT,
    UnusableReason.UNKNOWN_UNIT: B12Flag.REQUEST_UNIT,
    UnusableReason.IMPOSSIBLE_VALUE: B12Flag.VERIFY_RESULT,
    UnusableReason.NO_VALUE: B12Flag.VERIFY_RESULT,
    UnusableReason.WRONG_SPECIMEN: B12Flag.WARN_CODE_UNIT_MISMATCH,
}


class Reading(NamedTuple):
    """A result and what it means; `limit` and `locator` are as shown to the clinician."""

    result: Measurement
    means: str
    limit: str
    locator: str
    by_laboratory: bool = False  # the laboratory's own range decided, not the guideline's default


@dataclass(frozen=True, slots=True)
class IncomparableResult:
    """A result that no limit can be applied to. Never taken for a normal one."""

    result: Measurement
    reason: Undecided


def is_fresh(result: Measurement, chart: Chart, knowledge: B12Knowledge) -> bool:
    """Whether `result` is recent enough to decide anything."""
    return result.day >= subtract_months(chart.today, knowledge.result_max_age_months)


def get_fresh(chart: Chart, observation: str, knowledge: B12Knowledge) -> Measurement | None:
    """The newest result, where it is recent enough."""
    results = chart.measurements.get(observation)
    return results[0] if results and is_fresh(results[0], chart, knowledge) else None


def read_first_line(
    result: Measurement, chart: Chart, knowledge: B12Knowledge
) -> Reading | IncomparableResult:
    """The band of a total or active B12: "deficient", "indeterminate", "unlikely" or "high"."""
    row = knowledge.guideline.interpret(
        result.observation, result.value, result.comparator, result.unit, sex=chart.sex
    )
    if isinstance(row, Undecided):
        return IncomparableResult(result, row)
    if row is None:
        return IncomparableResult(result, Undecided.NO_LIMIT)
    return Reading(result, row.means, format_band(row, knowledge), format_locator(row))


def format_band(row: Cutoff, knowledge: B12Knowledge) -> str:
    """The limits that bound a band: "180 to 350 ng/L" for what lies between two rows."""
    if row.comparison in ("at_most", "below"):
        rows = knowledge.guideline.get_rows(row.observation, row.unit)
        below = [r.limit for r in rows if r.comparison == "below" and r.limit < row.limit]
        if below:
            return _format_limits(
                max(below), row.limit, row.unit, within=row.comparison == "at_most"
            )
    return row.text


@lru_cache(256)
def _format_limits(low: float, high: float, unit: str, *, within: bool) -> str:
    begins, ends = Numeral(f"{low:g}"), format_amount(high, unit)
    if within:
        return make_text("{low} to {amount}", low=begins, amount=ends)
    return make_text("{low} to below {amount}", low=begins, amount=ends)


def format_locator(row: Cutoff) -> str:
    """Where the limit is printed, with the publication where it is another one."""
    return f"{row.source}: {row.locator}" if row.source else row.locator


def read_metabolite(
    observation: str, chart: Chart, knowledge: B12Knowledge
) -> Reading | IncomparableResult | None:
    """Methylmalonic acid or homocysteine: "normal", "raised" or "grossly_raised".

    The laboratory's own upper limit goes before the guideline's default, which NG239 does not
    print. None where nothing recent was measured.
    """
    result = get_fresh(chart, observation, knowledge)
    if result is None:
        return None
    row = knowledge.guideline.interpret(
        observation, result.value, result.comparator, result.unit, sex=chart.sex
    )
    gross = isinstance(row, Cutoff) and row.means == "grossly_raised"
    if result.reference_high is not None:
        return _read_by_laboratory(result, result.reference_high, gross=gross)
    if isinstance(row, Undecided):
        return IncomparableResult(result, row)
    rows = knowledge.guideline.get_rows(observation, result.unit)
    shown = row or rows[-1]
    means = row.means if row else "normal"
    return Reading(result, means, str(shown), format_locator(shown))


def _read_by_laboratory(
    result: Measurement, high: float, *, gross: bool
) -> Reading | IncomparableResult:
    match result.comparator:
        case None:
            raised = result.value > high
        case "<" | "<=" if result.value <= high:
            raised = False
        case ">" | ">=" if result.value >= high:
            raised = True
        case _:
            return IncomparableResult(result, Undecided.SPANS)
    means = ("grossly_raised" if gross else "raised") if raised else "normal"
    limit = make_text("above {amount}", amount=format_amount(high, result.unit))
    return Reading(result, means, limit, "the laboratory's reference range", by_laboratory=True)


def assess_kidneys(chart: Chart, knowledge: B12Knowledge) -> tuple[str, Measurement | None]:
    """ "working", "impaired" or "unknown", and the eGFR that says so.

    Where no recent eGFR can be read, kidney disease on record counts as impaired.
    """
    result = get_fresh(chart, "egfr", knowledge)
    if result is not None:
        row = knowledge.laboratory.interpret("egfr", result.value, result.comparator, result.unit)
        if isinstance(row, Cutoff):
            return "impaired", result
        if row is None:
            return "working", result
    if chart.has(knowledge.groups["impairs_kidneys"]):
        return "impaired", None
    return "unknown", None


def read_by_common_limits(
    observation: str, chart: Chart, knowledge: B12Knowledge, *, pregnant: bool = False
) -> Reading | None:
    """What a recent blood finding means by the limits common to all guidelines.

    The laboratory's own range goes first where the limit says so, and only confirms its meaning:
    "anaemia", never "severe_anaemia". None: not measured, not remarkable, or not comparable.
    """
    result = get_fresh(chart, observation, knowledge)
    if result is None:
        return None
    row = knowledge.laboratory.interpret(
        observation,
        result.value,
        result.comparator,
        result.unit,
        sex=chart.sex,
        pregnant=pregnant,
    )
    limit = knowledge.laboratory.own_ranges.get(observation)
    outside = None if limit is None else _is_outside_own_range(result, limit)
    if isinstance(row, Cutoff) and (outside is not False or not row.own_range):
        return Reading(result, row.means, str(row), format_locator(row))
    return _read_by_own_range(result, limit) if limit is not None and outside else None


def _is_outside_own_range(result: Measurement, limit: Cutoff) -> bool | None:
    """Whether the value is beyond the laboratory's edge on the side of `limit`; None without."""
    edge = _get_own_edge(result, limit)
    if edge is None or result.comparator is not None:
        return None
    return result.value > edge if limit.is_upper else result.value < edge


def _get_own_edge(result: Measurement, limit: Cutoff) -> float | None:
    """The end of the laboratory's own range on the side of `limit`."""
    return result.reference_high if limit.is_upper else result.reference_low


def _read_by_own_range(result: Measurement, limit: Cutoff) -> Reading:
    amount = format_amount(_get_own_edge(result, limit) or 0.0, result.unit)
    text = (
        make_text("above {amount}", amount=amount)
        if limit.is_upper
        else make_text("below {amount}", amount=amount)
    )
    return Reading(result, limit.means, text, "the laboratory's reference range", True)
