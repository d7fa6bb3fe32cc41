"""Sweep one value and show how the answer changes, everything else as it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from services.assessment.codes import SarcopeniaCategory
from services.assessment.labels import get_sentence
from services.chart.model import Chart, Measurement
from services.hooks.decide import CallAnswer
from services.hooks.documents import AnsweredDocument, answer_chart
from services.hooks.offered_hooks import build_service_id
from services.hooks.overrides import Variant
from services.knowledge.site import SiteKnowledge
from services.web.chart_data import Axis, Band, Plot, Series
from services.web.unit_text import spell_units
from services.web.what_if.form_fields import rank_measures
from services.web.what_if.limit_bands import build_bands, choose_span, count_decimals, find_scope

MAX_VALUE = 1e12  # no result is larger in any unit; far beyond, numbers cannot be halved any more


def find_measurement(name: str, chart: Chart, knowledge: SiteKnowledge) -> Measurement | None:
    """The newest result; of measures of which the best trial of a day counts, that one."""
    newest = chart.get_latest(name)
    if newest is None or name not in knowledge.muscle.best_of_day:
        return newest
    of_day = [result for result in chart.measurements[name] if result.day == newest.day]
    return max(of_day, key=lambda result: result.value)


def choose_ends(
    low: float,
    high: float,
    least: float | None,
    most: float | None,
    plausible: tuple[float, float] | None,
) -> tuple[float, float]:
    """From where to where: what was asked for, within what is read rather than verified."""
    low = low if least is None else least
    high = high if most is None else most
    low, high = min(low, MAX_VALUE), min(high, MAX_VALUE)
    high = high if high > low else low * 2 + 1  # limits that lie below where somebody begins
    if plausible is None:
        return low, high
    lowest, highest = plausible
    if low >= highest or high <= lowest:  # nothing of it could be read
        return lowest, highest
    return max(low, lowest), min(high, highest)


def replace_value(chart: Chart, template: Measurement, value: float) -> Chart:
    """The chart with one result of this measure alone on its newest day."""
    changed = template._replace(value=value, comparator=None, reported="")
    older = (m for m in chart.measurements.get(template.observation, ()) if m.day < template.day)
    results = {**chart.measurements, template.observation: (changed, *older)}
    unusable = {n: u for n, u in chart.unusable.items() if n != template.observation}
    return replace(chart, measurements=results, unusable=unusable)


POINTS = 80
MAX_DIGITS = 9  # after the point
PLOT_HEIGHT, ROW_HEIGHT = 130, 26  # pixels of a plot, and of each name on its axis


class SweepOutcome(NamedTuple):
    """What can change along a value: words, never the value itself."""

    b12: str
    urgency: str
    muscle: str
    tier: str
    cards: tuple[tuple[str, str], ...]  # what each is about, and its indicator
    suggestions: tuple[str, ...]


class Interval(NamedTuple):
    """From one printed value to another, both included, the answer is the same."""

    begins: float
    ends: float
    outcome: SweepOutcome


@dataclass(frozen=True, slots=True)
class Sweep:
    name: str
    title: str
    unit: str  # UCUM
    digits: int  # after the point, to which the values of the intervals are exact
    now: float | None  # None: not on record, or only a bound of it
    intervals: tuple[Interval, ...]
    plots: tuple[Plot, ...]

    @property
    def step(self) -> float:
        return 10.0**-self.digits

    def format_value(self, value: float) -> str:
        return f"{value:.{self.digits}f}"

    def as_json(self) -> dict[str, Any]:
        """What the slider shows."""
        return {
            "unit": spell_units(self.unit),
            "digits": self.digits,
            "intervals": [
                {"begins": i.begins, "ends": i.ends, "says": describe_outcome(i.outcome)}
                for i in self.intervals
            ],
        }


def describe_outcome(outcome: SweepOutcome) -> str:
    muscle = get_sentence(SarcopeniaCategory, outcome.muscle)
    cards = ", ".join(f"{about} ({loud})" for about, loud in outcome.cards) or "none"
    return f"B12 {outcome.b12}, {outcome.tier}, muscle {muscle}; card: {cards}"


def list_sweepable(answered: AnsweredDocument, variant: Variant) -> Mapping[str, str]:
    """Titles of the measures that can be swept, by name: first those on record."""
    knowledge = variant.knowledge
    names = dict.fromkeys((*answered.chart.measurements, *rank_measures(knowledge)))
    computed = {name for name in names if not knowledge.index.rows[name]}
    return {name: knowledge.b12.titles[name] for name in names if name not in computed}


def sweep_value(
    answered: AnsweredDocument,
    variant: Variant,
    name: str,
    least: float | None = None,
    most: float | None = None,
) -> Sweep:
    """The answers along `name`, a measure of `sweepable`, from `least` to `most`.

    Where none is given they lie about the limits. The measure stands where its newest result is,
    in that result's unit; where there is none, on the day of the call and in the first unit.
    """
    chart, knowledge = answered.chart, variant.knowledge
    measurement, value_set = find_measurement(name, chart, knowledge), knowledge.index.sets[name]
    unit = measurement.unit if measurement else value_set.units[0]
    template = measurement or Measurement(name, 0.0, unit, chart.today, f"Observation/{name}")
    scope = find_scope(name, unit, chart, knowledge, template.method)
    values = (measurement.value,) if measurement else ()
    low, high = choose_span(name, unit, scope, knowledge, *values)
    low, high = choose_ends(
        low, high, least, most, knowledge.chart_knowledge.plausible.get((name, unit))
    )
    digits = 0 if value_set.whole else _choose_digits(low, high, (*scope.edges, *values))
    rules = variant.attention[build_service_id(answered.hook)]

    def at(place: int) -> SweepOutcome:
        value = place / 10**digits
        changed = replace_value(chart, template, value)
        answer = answer_chart(changed, answered.drafts, variant.maker, rules, answered.hook)
        return _read_outcome(answer)

    first, last = (
        round(low * 10**digits),
        max(round(high * 10**digits), round(low * 10**digits) + 1),
    )
    near = [round(edge * 10**digits) + beside for edge in scope.edges for beside in (-1, 0, 1)]
    grid = _build_grid(first, last, near)
    intervals = tuple(
        Interval(a / 10**digits, b / 10**digits, outcome)
        for a, b, outcome in _find_intervals(grid, _cache_outcomes(at))
    )
    title = knowledge.b12.titles[name]
    now = measurement.value if measurement and measurement.comparator is None else None
    swept = Sweep(name, title, unit, digits, now, intervals, ())
    return replace(
        swept, plots=tuple(_build_plots(swept, tuple(build_bands(scope)) if scope.tables else ()))
    )


def _choose_digits(low: float, high: float, printed: Sequence[float]) -> int:
    """As printed, and fine enough for the points to differ."""
    digits = min(count_decimals(*printed) if printed else 0, MAX_DIGITS)
    while digits < MAX_DIGITS and (high - low) * 10**digits < POINTS:
        digits += 1
    return digits


def _build_grid(first: int, last: int, near: Sequence[int]) -> list[int]:
    even = (first + (last - first) * n // POINTS for n in range(POINTS + 1))
    return sorted({*even, *(place for place in near if first <= place <= last)})


def _cache_outcomes(at: Callable[[int], SweepOutcome]) -> Callable[[int], SweepOutcome]:
    outcomes: dict[int, SweepOutcome] = {}

    def once(place: int) -> SweepOutcome:
        if place not in outcomes:
            outcomes[place] = at(place)
        return outcomes[place]

    return once


def _find_intervals(
    grid: Sequence[int], at: Callable[[int], SweepOutcome]
) -> Iterator[tuple[int, int, SweepOutcome]]:
    """Stretches of one outcome; changes between two points of the grid are bisected."""
    begins = grid[0]
    for low, high in pairwise(grid):
        for change in _find_changes(low, high, at):
            yield begins, change - 1, at(begins)
            begins = change
    yield begins, grid[-1], at(begins)


def _find_changes(low: int, high: int, at: Callable[[int], SweepOutcome]) -> Iterator[int]:
    """The first places of new outcomes after `low`, up to `high`."""
    if at(low) == at(high):
        return
    if high - low == 1:
        yield high
        return
    middle = (low + high) // 2
    yield from _find_changes(low, middle, at)
    yield from _find_changes(middle, high, at)


def _read_outcome(answer: CallAnswer) -> SweepOutcome:
    evaluation = answer.evaluation
    return SweepOutcome(
        b12=evaluation.b12.category,
        urgency=evaluation.b12.urgency,
        muscle=evaluation.muscle.category,
        tier=evaluation.tier,
        cards=tuple(
            (card.source.topic.display or card.source.topic.code, card.indicator.value)
            for card in answer.cards
            if card.source.topic
        ),
        suggestions=tuple(
            suggestion.label for card in answer.cards for suggestion in card.suggestions
        ),
    )


def _build_plots(swept: Sweep, bands: tuple[Band, ...]) -> Iterator[Plot]:
    """One for each of category, stage and tier that changes along the value."""
    for what, read_name in (
        ("B12", lambda o: o.b12),
        ("Muscle", lambda o: get_sentence(SarcopeniaCategory, o.muscle)),
        ("Tier", lambda o: o.tier),
    ):
        names = dict.fromkeys(read_name(interval.outcome) for interval in swept.intervals)
        if len(names) > 1:
            yield _build_plot(
                swept, what, sorted(names) if what == "Tier" else [*names], read_name, bands
            )


def _build_plot(
    swept: Sweep,
    what: str,
    names: Sequence[str],
    read_name: Callable[[SweepOutcome], str],
    bands: tuple[Band, ...],
) -> Plot:
    unit = spell_units(swept.unit)
    points = [
        (value, read_name(interval.outcome))
        for interval in swept.intervals
        for value in (interval.begins, interval.ends)
    ]
    changes = "; ".join(
        f"{read_name(interval.outcome)} "
        f"{swept.format_value(interval.begins)} to {swept.format_value(interval.ends)}"
        for interval in swept.intervals
    )
    series = [Series(what, points, "steps")]
    if swept.now is not None:
        now = next((i for i in swept.intervals if i.begins <= swept.now <= i.ends), None)
        if now is not None:
            series.append(
                Series("this patient", [(swept.now, read_name(now.outcome))], "points", "bad")
            )
    return Plot(
        says=f"{what} along {swept.title} in {unit}: {changes}",
        x=Axis(f"{swept.title}, {unit}", least=points[0][0], most=points[-1][0]),
        y=Axis("", "category", names=tuple(names)),
        series=series,
        bands=tuple(replace(band, says="") for band in bands),
        height=PLOT_HEIGHT + ROW_HEIGHT * len(names),
    )
