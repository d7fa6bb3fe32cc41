"""Results over years as charts and tables: one chart for each result and unit."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from mappings.text import Text, format_amount, make_text
from services.chart.model import Chart, UnusableResult
from services.knowledge.site import SiteKnowledge
from services.web.chart_data import Axis, Band, Plot, Series, Tone
from services.web.smart_app.reference_bands import build_bands, explain_missing_bands, find_limits
from services.web.smart_app.result_values import ResultRow, build_rows
from services.web.smart_app.text import PageTranslator
from services.web.smart_app.treatment_periods import TreatmentPeriod

TREND_OBSERVATIONS = (
    *("total_b12", "active_b12", "methylmalonic_acid", "homocysteine"),
    *("hemoglobin", "mcv", "egfr", "grip_strength", "gait_speed"),
)
B12_OBSERVATIONS = frozenset({"total_b12", "active_b12", "methylmalonic_acid", "homocysteine"})
MIN_SPAN = timedelta(days=365)  # of the axis of time
NEARBY_SHARE = 0.6  # of the highest value: limits no further away are always on the chart
AXIS_MARKS = 5  # on an axis, about
MIN_STEP = 1e-9  # between two of them


@dataclass(frozen=True, slots=True)
class Trend:
    """One kind of result in one unit. Mass and moles are never put on one axis."""

    name: str
    unit: str
    title: str
    rows: tuple[ResultRow, ...]  # newest first
    plot: Plot
    by: str  # whose limits they are
    unbanded: str | None  # why the chart has no bands


def build_trends(
    chart: Chart,
    knowledge: SiteKnowledge,
    periods: Sequence[TreatmentPeriod],
    words: PageTranslator,
) -> tuple[Trend, ...]:
    """Every kind of result that is on record, in the units it was reported in."""
    groups = [
        (name, unit, build_rows(name, unit, chart, knowledge))
        for name in TREND_OBSERVATIONS
        for unit in dict.fromkeys(r.unit for r in chart.measurements.get(name, ()))
    ]
    days = [row.result.day for _name, _unit, rows in groups for row in rows]
    begins = min([*days, chart.today - MIN_SPAN])
    ends = max([*days, chart.today])
    axis = Axis("", "time", date(begins.year, 1, 1).isoformat(), ends.isoformat())
    return tuple(
        Trend(
            name=name,
            unit=unit,
            title=words(knowledge.b12.titles[name]),
            rows=rows,
            plot=_plot(
                rows, chart, knowledge, periods if name in B12_OBSERVATIONS else (), axis, words
            ),
            by=_describe_source(name, knowledge),
            unbanded=explain_missing_bands(rows[0].result, chart, knowledge),
        )
        for name, unit, rows in groups
    )


def list_absent(chart: Chart) -> tuple[str, ...]:
    """Kinds of results that are shown and of which none, readable or not, is on record."""
    return tuple(
        name
        for name in TREND_OBSERVATIONS
        if not (chart.measurements.get(name) or chart.unusable.get(name) or chart.unable.get(name))
    )


def list_unreadable(chart: Chart) -> tuple[UnusableResult, ...]:
    """Results that were not read as any value."""
    return tuple(result for several in chart.unusable.values() for result in several)


def _describe_source(name: str, knowledge: SiteKnowledge) -> str:
    limits = find_limits(name, knowledge)
    if limits is knowledge.b12.guideline:
        return knowledge.b12.guideline.label
    if limits is knowledge.muscle.definition:
        return knowledge.muscle.definition.label
    return make_text("limits common to all guidelines")


def _plot(
    rows: Sequence[ResultRow],
    chart: Chart,
    knowledge: SiteKnowledge,
    periods: Sequence[TreatmentPeriod],
    axis: Axis,
    words: PageTranslator,
) -> Plot:
    newest = rows[0].result
    title, unit = words(knowledge.b12.titles[newest.observation]), words.format_unit(newest.unit)
    bands = build_bands(newest, chart, knowledge)
    low, high = _find_span(rows, bands)
    return Plot(
        says=words(_describe_trend(rows, title)),
        x=axis,
        y=Axis(unit, "linear", low, high),
        series=tuple(_build_series(rows, title, high, words)),
        bands=(
            *(Band(words(b.says), b.begins, b.ends, b.tone) for b in bands),
            *(_build_band(period, words) for period in periods if period.begins),
        ),
        height=(150 if len(rows) == 1 else 200) + 20 * len(periods),
    )


def _build_band(period: TreatmentPeriod, words: PageTranslator) -> Band:
    ends = period.ends.isoformat() if period.ends else None
    begins = period.begins.isoformat() if period.begins else None
    tone: Tone = "watch" if period.lowers else "plain"
    return Band(words(period.says), begins, ends, tone, "x", "above")


def _build_series(
    rows: Sequence[ResultRow], title: str, most: float, words: PageTranslator
) -> Iterator[Series]:
    """Values in a line; what lies higher than the axis at its upper end; and bounds such as "<150"
    apart, since they lie where nobody knows."""
    above = [row for row in reversed(rows) if row.result.value > most]
    within = [row for row in reversed(rows) if row.result.value <= most]
    values = [row for row in within if row.result.comparator is None]
    bounds = [row for row in within if row.result.comparator is not None]
    if values:
        yield Series(title, tuple(_build_point(row, row.result.value, words) for row in values))
    if bounds:
        name = words(make_text("Only a bound reported"))
        points = tuple(_build_point(row, row.result.value, words) for row in bounds)
        yield Series(name, points, "points", "watch")
    if above:
        name = words(make_text("Higher than the axis"))
        yield Series(
            name, tuple(_build_point(row, most, words) for row in above), "points", "watch"
        )


def _build_point(row: ResultRow, at: float, words: PageTranslator) -> tuple[str, float, str]:
    result, meaning = row
    value = (
        "" if at == result.value and not result.comparator else f"{words.format_value(result)}: "
    )
    return (result.day.isoformat(), at, f"{value}{words(meaning.says)}")


def _describe_trend(rows: Sequence[ResultRow], title: str) -> Text:
    """The chart in a sentence; the table below has every number."""
    newest, oldest = rows[0].result, rows[-1].result
    now = format_amount(newest.value, newest.unit, newest.comparator)
    if len(rows) == 1:
        return make_text("{title}: {now} on {day}.", title=title, now=now, day=newest.day)
    return make_text(
        "{title} from {first} on {begins} to {now} on {day}; {number} results, all in the table.",
        title=title,
        first=format_amount(oldest.value, oldest.unit, oldest.comparator),
        begins=oldest.day,
        now=now,
        day=newest.day,
        number=len(rows),
    )


def _find_span(rows: Sequence[ResultRow], bands: Sequence[Band]) -> tuple[float, float]:
    """The ends of the axis: all values that can be read as they stand, and the edges near them.

    What is only a bound, or lies under injections, does not stretch it upwards: it would flatten
    the rest.
    """
    exact = [row for row in rows if row.result.comparator is None]
    plain = [row for row in exact if not row.meaning.note]
    low = min(row.result.value for row in exact or rows)
    high = max(row.result.value for row in plain or rows)
    room = max(high - low, abs(high) * NEARBY_SHARE)
    edges = [e for band in bands for e in (band.begins, band.ends) if isinstance(e, int | float)]
    near = [e for e in edges if low - room <= e <= high + room]
    low, high = min([low, *near]), max([high, *near])
    step = _choose_step((high - low) or abs(high) or 1.0)
    floor, ceiling = (low // step) * step, -(-high // step) * step
    floor = floor - step if floor == low and floor > 0 else floor
    ceiling = ceiling + step if ceiling == high else ceiling
    return float(f"{floor:.6g}"), float(f"{ceiling:.6g}")


def _choose_step(span: float) -> float:
    """A distance between marks that people read: 1, 2 or 5 times a power of ten."""
    apart = max(span / AXIS_MARKS, MIN_STEP)
    power = 10.0 ** math.floor(math.log10(apart))
    return next((power * times for times in (1, 2, 5) if power * times >= apart), power * 10)
