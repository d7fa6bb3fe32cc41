"""Along which result a value is swept, from where to where, and the chart at each place."""

from dataclasses import replace

from services.chart import Chart, Measurement
from services.knowledge import Known

FARTHEST = 1e12  # no result is larger in any unit; far beyond, numbers cannot be halved any more


def measured(name: str, chart: Chart, known: Known) -> Measurement | None:
    """The newest result; of measures of which the best trial of a day counts, that one."""
    newest = chart.latest(name)
    if newest is None or name not in known.muscle.best_of_day:
        return newest
    of_day = [one for one in chart.measurements[name] if one.day == newest.day]
    return max(of_day, key=lambda one: one.value)


def ends(
    low: float,
    high: float,
    least: float | None,
    most: float | None,
    plausible: tuple[float, float] | None,
) -> tuple[float, float]:
    """From where to where: what was asked for, within what is read rather than verified."""
    low = low if least is None else least
    high = high if most is None else most
    low, high = min(low, FARTHEST), min(high, FARTHEST)
    high = high if high > low else low * 2 + 1  # limits that lie below where somebody begins
    if plausible is None:
        return low, high
    lowest, highest = plausible
    if low >= highest or high <= lowest:  # nothing of it could be read
        return lowest, highest
    return max(low, lowest), min(high, highest)


def with_value(chart: Chart, template: Measurement, value: float) -> Chart:
    """The chart with one result of this measure alone on its newest day."""
    changed = template._replace(value=value, comparator=None, reported="")
    older = (m for m in chart.measurements.get(template.observation, ()) if m.day < template.day)
    results = {**chart.measurements, template.observation: (changed, *older)}
    unusable = {n: u for n, u in chart.unusable.items() if n != template.observation}
    return replace(chart, measurements=results, unusable=unusable)
