"""Sweep one value and show how the answer changes, everything else as it is."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, NamedTuple

from services.chart.model import Chart, Measurement
from services.hooks.decide import CallAnswer
from services.hooks.documents import AnsweredDocument, answer_chart
from services.hooks.offered_hooks import build_service_id
from services.hooks.overrides import Variant
from services.knowledge.site import SiteKnowledge
from services.sarcopenia.labels import CATEGORIES
from services.web.chart_data import Axis, Band, Plot, Series
from services.web.unit_text import spell_units
from services.web.what_if.form_fields import rank_measures
from services.web.what_if.limit_bands import build_bands, choose_span, count_decimals, find_scope

MAX_VALUE = 1e12  # no result is larger in any unit; far beyond, numbers cannot be halved any more


def find_measurement(name: str, chart: Chart, known: SiteKnowledge) -> Measurement | None:
    """The newest result; of measures of which the best trial of a day counts, that one."""
    newest = chart.get_latest(name)
    if newest is None or name not in known.muscle.best_of_day:
        return newest
    of_day = [one for one in chart.measurements[name] if one.day == newest.day]
    return max(of_day, key=lambda one: one.value)


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
TIERS = ("T1", "T2", "T3", "T4", "T5")
HEIGHT, ROW = 130, 26  # pixels of a plot, and of each name on its axis


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

    def said(self, value: float) -> str:
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
    muscle = CATEGORIES[outcome.muscle]
    cards = ", ".join(f"{about} ({loud})" for about, loud in outcome.cards) or "none"
    return f"B12 {outcome.b12}, {outcome.tier}, muscle {muscle}; card: {cards}"


def list_sweepable(answered: AnsweredDocument, chosen: Variant) -> Mapping[str, str]:
    """Titles of the measures that can be swept, by name: first those on record."""
    known = chosen.known
    names = dict.fromkeys((*answered.chart.measurements, *rank_measures(known)))
    computed = {name for name in names if not known.index.rows[name]}
    return {name: known.b12.titles[name] for name in names if name not in computed}


def sweep_value(
    answered: AnsweredDocument,
    chosen: Variant,
    name: str,
    least: float | None = None,
    most: float | None = None,
) -> Sweep:
    """The answers along `name`, a measure of `sweepable`, from `least` to `most`.

    Where none is given they lie about the limits. The measure stands where its newest result is,
    in that result's unit; where there is none, on the day of the call and in the first unit.
    """
    chart, known = answered.chart, chosen.known
    there, value_set = find_measurement(name, chart, known), known.index.sets[name]
    unit = there.unit if there else value_set.units[0]
    template = there or Measurement(name, 0.0, unit, chart.today, f"Observation/{name}")
    scope = find_scope(name, unit, chart, known, template.method)
    shown = (there.value,) if there else ()
    low, high = choose_span(name, unit, scope, known, *shown)
    low, high = choose_ends(
        low, high, least, most, known.chart_knowledge.plausible.get((name, unit))
    )
    digits = 0 if value_set.whole else _choose_digits(low, high, (*scope.edges, *shown))
    rules = chosen.attention[build_service_id(answered.hook)]

    def at(place: int) -> SweepOutcome:
        value = place / 10**digits
        changed = replace_value(chart, template, value)
        answer = answer_chart(changed, answered.drafts, chosen.maker, rules, answered.hook)
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
    title = known.b12.titles[name]
    now = there.value if there and there.comparator is None else None
    made = Sweep(name, title, unit, digits, now, intervals, ())
    return replace(
        made, plots=tuple(_build_plots(made, tuple(build_bands(scope)) if scope.tables else ()))
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
    found: dict[int, SweepOutcome] = {}

    def once(place: int) -> SweepOutcome:
        if place not in found:
            found[place] = at(place)
        return found[place]

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
    found = answer.evaluation
    return SweepOutcome(
        b12=found.b12.category,
        urgency=found.b12.urgency,
        muscle=found.muscle.category,
        tier=found.tier,
        cards=tuple(
            (card.source.topic.display or card.source.topic.code, card.indicator.value)
            for card in answer.cards
            if card.source.topic
        ),
        suggestions=tuple(one.label for card in answer.cards for one in card.suggestions),
    )


def _build_plots(made: Sweep, found: tuple[Band, ...]) -> Iterator[Plot]:
    """One for each of category, stage and tier that changes along the value."""
    for what, read in (
        ("B12", lambda o: o.b12),
        ("Muscle", lambda o: CATEGORIES[o.muscle]),
        ("Tier", lambda o: o.tier),
    ):
        names = dict.fromkeys(read(interval.outcome) for interval in made.intervals)
        if len(names) > 1:
            yield _build_plot(
                made, what, sorted(names) if what == "Tier" else [*names], read, found
            )


def _build_plot(
    made: Sweep,
    what: str,
    names: Sequence[str],
    read: Callable[[SweepOutcome], str],
    found: tuple[Band, ...],
) -> Plot:
    unit = spell_units(made.unit)
    points = [
        (value, read(one.outcome)) for one in made.intervals for value in (one.begins, one.ends)
    ]
    told = "; ".join(
        f"{read(one.outcome)} {made.said(one.begins)} to {made.said(one.ends)}"
        for one in made.intervals
    )
    series = [Series(what, points, "steps")]
    if made.now is not None:
        now = next((i for i in made.intervals if i.begins <= made.now <= i.ends), None)
        if now is not None:
            series.append(Series("this patient", [(made.now, read(now.outcome))], "points", "bad"))
    return Plot(
        says=f"{what} along {made.title} in {unit}: {told}",
        x=Axis(f"{made.title}, {unit}", least=points[0][0], most=points[-1][0]),
        y=Axis("", "category", names=tuple(names)),
        series=series,
        bands=tuple(replace(band, says="") for band in found),
        height=HEIGHT + ROW * len(names),
    )
