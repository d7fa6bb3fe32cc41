"""The printed limits that a value is looked at with: which it meets, which not, and the bands."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise, product
from typing import NamedTuple

from mappings.publications.cutoffs import Cutoff, CutoffTable, Undecided
from services.chart.model import Chart, Measurement
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.measures import METHODS, SEXES
from services.sarcopenia.measures import is_fresh as is_fresh_measure
from services.vitamin_b12.findings import is_pregnant
from services.vitamin_b12.results import format_locator, is_fresh
from services.web.chart_data import Axis, Band, Plot, Series, Tone
from services.web.unit_text import spell_units
from services.web.what_if.form_fields import rank_measures

NO_LIMIT = "no limit met"
NO_SEX, NO_METHOD = "sex not known", "method not known"
MEANING_TONES: Mapping[str, Tone] = {
    "deficient": "bad",
    "grossly_raised": "bad",
    "severe_anaemia": "bad",
    "low_strength": "bad",
    "low_mass": "bad",
    "low_performance": "bad",
    "unlikely": "good",
    NO_LIMIT: "good",
    NO_SEX: "plain",
    NO_METHOD: "plain",
}
# Where a plot begins and ends: this share of the lowest limit, so many times the highest.
BEFORE, BEYOND = 0.25, 1.5


class LimitComparison(NamedTuple):
    """One row of a table of limits beside a value."""

    said: str
    means: str
    locator: str
    by: str  # guideline, definition or the common limits
    outcome: str


@dataclass(frozen=True, slots=True)
class ResultOnScale:
    """One result of the chart between its limits."""

    result: Measurement
    title: str
    is_fresh: bool
    compared: tuple[LimitComparison, ...]
    plot: Plot | None  # None: no limit is printed in this unit


class LimitScope(NamedTuple):
    """The tables that print a limit for a measure in a unit, and for whom they are read."""

    tables: tuple[tuple[str, CutoffTable], ...]
    sex: str | None
    pregnant: bool
    method: str | None

    @property
    def edges(self) -> tuple[float, ...]:
        return tuple(sorted({row.limit for _by, limits in self.tables for row in limits.cutoffs}))

    def applies(self, row: Cutoff) -> bool:
        return (
            row.sex in (None, self.sex)
            and row.method in (None, self.method)
            and row.pregnant in (None, self.pregnant)
        )


def find_scope(
    name: str, unit: str, chart: Chart, known: SiteKnowledge, method: str | None
) -> LimitScope:
    """The limits of one measure alone, of whatever the rules in force look it up in."""
    tables = (
        (known.b12.guideline.id, known.b12.guideline),
        ("common limits", known.b12.laboratory),
        (known.muscle.definition.id, known.muscle.definition),
    )
    printed = tuple(
        (by, CutoffTable(rows)) for by, limits in tables if (rows := limits.get_rows(name, unit))
    )
    return LimitScope(printed, chart.sex, is_pregnant(chart, known.b12), method)


def place_results(chart: Chart, known: SiteKnowledge) -> tuple[ResultOnScale, ...]:
    """The newest usable result of each measure, in the order of the limits; the others last."""
    order = rank_measures(known)
    found = [_place_result(results[0], chart, known) for results in chart.measurements.values()]
    found.sort(key=lambda one: order.get(one.result.observation, len(order)))
    return tuple(found)


def _place_result(result: Measurement, chart: Chart, known: SiteKnowledge) -> ResultOnScale:
    name = result.observation
    scope = find_scope(name, result.unit, chart, known, result.method)
    muscle = known.index.sets[name].topic == "muscle"
    fresh = (
        is_fresh_measure(chart, known.muscle, result)
        if muscle
        else is_fresh(result, chart, known.b12)
    )
    title = known.b12.titles[name]
    compared = tuple(_compare_limits(result, scope))
    plot = _build_plot(result, title, scope) if scope.tables else None
    return ResultOnScale(result, title, fresh, compared, plot)


def _compare_limits(result: Measurement, scope: LimitScope) -> Iterator[LimitComparison]:
    for by, limits in scope.tables:
        read = limits.interpret(
            result.observation,
            result.value,
            result.comparator,
            result.unit,
            sex=scope.sex,
            pregnant=scope.pregnant,
            method=result.method,
        )
        for row in limits.cutoffs:
            says = spell_units(row.text) + (f", {row.sex}" if row.sex else "")
            says += f", {row.method}" if row.method else ""
            outcome = _describe_outcome(row, read, result, scope)
            yield LimitComparison(
                says, row.means.replace("_", " "), format_locator(row), by, outcome
            )


def _describe_outcome(
    row: Cutoff, read: Cutoff | Undecided | None, result: Measurement, scope: LimitScope
) -> str:
    if row.sex and scope.sex is None:
        return NO_SEX
    if row.method and scope.method is None:
        return NO_METHOD
    if not scope.applies(row):
        return "for others"
    if isinstance(read, Undecided):
        return read.value
    if row is read:
        return "met"
    if result.comparator is None and row.is_met_by(result.value):
        return "met, but a row above goes first"
    return "not met"


def build_bands(scope: LimitScope) -> Iterator[Band]:
    """What each stretch between two limits means to whom the limits are read for."""
    edges = (None, *scope.edges, None)
    running: Band | None = None
    before = ""
    for low, high in pairwise(edges):
        means = _describe_meaning(scope, _find_midpoint(low, high))
        if running is not None and means == before:
            running = replace(running, ends=high)
            continue
        if running is not None:
            yield running
        before = means
        running = Band(means.replace("_", " "), low, high, MEANING_TONES.get(means, "watch"), "x")
    if running is not None:
        yield running


def _find_midpoint(low: float | None, high: float | None) -> float:
    if low is None:
        return (high or 0.0) / 2
    return low * 2 + 1 if high is None else (low + high) / 2


def _describe_meaning(scope: LimitScope, value: float) -> str:
    """What `value` means; where sex or method is not known, only what each of them would say."""
    rows = [row for _by, limits in scope.tables for row in limits.cutoffs]
    sexes = SEXES if scope.sex is None and any(row.sex for row in rows) else (scope.sex,)
    asked = scope.method is None and any(row.method for row in rows)
    methods: tuple[str | None, ...] = METHODS if asked else (scope.method,)
    met = {
        (sex, method): _find_met_limit(scope._replace(sex=sex, method=method), value)
        for sex, method in product(sexes, methods)
    }
    if len({*met.values()}) == 1:
        return next(iter(met.values()))
    by_sex = any(len({met[sex, method] for sex in sexes}) > 1 for method in methods)
    return NO_SEX if by_sex else NO_METHOD


def _find_met_limit(scope: LimitScope, value: float) -> str:
    for _by, limits in scope.tables:
        met = (row for row in limits.cutoffs if scope.applies(row) and row.is_met_by(value))
        row = next(met, None)
        if row is not None:
            return row.means
    return NO_LIMIT


def choose_span(
    name: str, unit: str, scope: LimitScope, known: SiteKnowledge, *shown: float
) -> tuple[float, float]:
    """From where to where a measure is shown: about its limits, within what is plausible."""
    low, high = known.chart_knowledge.plausible.get((name, unit), (0.0, float("inf")))
    edges = scope.edges or shown or (1.0,)
    least = min((edges[0] * BEFORE, *shown))
    most = max((edges[-1] * BEYOND, *shown))
    return max(low, least), min(high, most)


def count_decimals(*values: float) -> int:
    """So many digits after the point as the most exact of `values` is printed with."""
    exponents = (Decimal(f"{value:g}").as_tuple().exponent for value in values)
    return max((-e for e in exponents if isinstance(e, int) and e < 0), default=0)


def _build_plot(result: Measurement, title: str, scope: LimitScope) -> Plot:
    edges, value = scope.edges, result.value
    least = min(edges[0] * BEFORE, value * 0.9)
    most = max(edges[-1] * BEYOND, value * 1.1)
    unit = spell_units(result.unit)
    found = tuple(build_bands(scope))
    told = f"{result.comparator or ''}{value:g} {unit}"
    ranges = "; ".join(f"{one.says} {_format_range(one, unit)}" for one in found)
    return Plot(
        says=f"{title} {told} between its limits: {ranges}",
        x=Axis(f"{title}, {unit}", least=round(least, 4), most=round(most, 4)),
        y=Axis("", least=0, most=1),
        series=[Series(f"{title} {told}", [(value, 0.25, f"{result.day:%d %b %Y}")], "points")],
        bands=found,
        height=130,
    )


def _format_range(band: Band, unit: str) -> str:
    match band.begins, band.ends:
        case None, None:
            return "everywhere"
        case None, high:
            return f"up to {high:g} {unit}"
        case low, None:
            return f"from {low:g} {unit}"
        case low, high:
            return f"{low:g} to {high:g} {unit}"
    return ""
