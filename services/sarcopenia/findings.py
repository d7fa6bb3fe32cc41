"""Read strength, mass and performance: each low, normal or unknown, and by what measure."""

from collections.abc import Iterable
from typing import NamedTuple

from services.assessment.codes import Level
from services.chart.model import Chart, Measurement, UnusableResult
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.mass import read_mass
from services.sarcopenia.measures import MeasureResult, is_fresh, read_measure
from services.sarcopenia.screening import ScreeningResult, screen


class MuscleFindings(NamedTuple):
    """Levels of strength, mass and performance, the screen, and what could not be used."""

    strength: Level
    mass: Level
    performance: Level
    tests: tuple[MeasureResult, ...]  # of strength, mass and performance, in this order
    screen: ScreeningResult
    discordant: bool  # index and absolute mass disagree
    stale: tuple[Measurement, ...]  # measures too old to decide, where nothing newer is there
    refused: tuple[UnusableResult, ...]
    asymmetry: tuple[Measurement, ...]  # right and left grip that differ too much
    height_missing: bool

    @property
    def attempted(self) -> bool:
        """Whether something was measured that could not be decided."""
        return Level.UNKNOWN in [test.level for test in self.tests]


NOTHING_MEASURED = MuscleFindings(
    strength=Level.UNKNOWN,
    mass=Level.UNKNOWN,
    performance=Level.UNKNOWN,
    tests=(),
    screen=ScreeningResult(outcome=None, tests=(), score=None, at_limit=False),
    discordant=False,
    stale=(),
    refused=(),
    asymmetry=(),
    height_missing=False,
)


def read_findings(chart: Chart, knowledge: SarcopeniaKnowledge) -> MuscleFindings:
    """Read the measures of the chart by the limits of the definition."""
    if (
        knowledge.observations_read.isdisjoint(chart.measurements)
        and knowledge.observations_read.isdisjoint(chart.unusable)
        and knowledge.observations_read.isdisjoint(chart.unable)
    ):
        return NOTHING_MEASURED
    strength = _read_measures("low_strength", chart, knowledge)
    performance = _read_measures("low_performance", chart, knowledge)
    mass = read_mass(chart, knowledge)
    decided = [test for test in mass if test.level != Level.UNKNOWN]
    return MuscleFindings(
        strength=_combine_levels(strength),
        mass=decided[0].level if decided else Level.UNKNOWN,
        performance=_combine_levels(performance),
        tests=(*strength, *mass, *performance),
        screen=screen(chart, knowledge),
        discordant=_is_discordant(decided),
        stale=tuple(_list_stale(chart, knowledge)),
        refused=tuple(_list_refused(chart, knowledge)),
        asymmetry=_find_asymmetry(chart, knowledge),
        height_missing="asm_height2" in knowledge.definition.mass_order
        and bool(chart.measurements.get("asm"))
        and not any(test.observation == "asm_height2" for test in mass),
    )


def _is_discordant(decided: list[MeasureResult]) -> bool:
    """Whether index and absolute mass of one day disagree; of two days it may be a change."""
    days = {test.result.day for test in decided if test.result is not None}
    return len({test.level for test in decided}) > 1 and len(days) == 1


def _read_measures(
    meaning: str, chart: Chart, knowledge: SarcopeniaKnowledge
) -> tuple[MeasureResult, ...]:
    tests = (
        read_measure(name, chart.measurements.get(name, ()), chart, knowledge)
        for name in knowledge.measures_by_meaning.get(meaning, ())
    )
    return tuple(test for test in tests if test is not None)


def _combine_levels(tests: Iterable[MeasureResult]) -> Level:
    """Low by any test is low; each test suffices by itself, so one normal one is normal."""
    levels = {test.level for test in tests}
    return (
        Level.LOW
        if Level.LOW in levels
        else Level.NORMAL
        if Level.NORMAL in levels
        else Level.UNKNOWN
    )


def _list_stale(chart: Chart, knowledge: SarcopeniaKnowledge) -> Iterable[Measurement]:
    for name in knowledge.measures:
        latest = chart.get_latest(name)
        if latest is not None and not is_fresh(chart, knowledge, latest):
            yield latest


def _list_refused(chart: Chart, knowledge: SarcopeniaKnowledge) -> Iterable[UnusableResult]:
    for name in knowledge.refused:
        yield from (u for u in chart.unusable.get(name, ()) if is_fresh(chart, knowledge, u))


def _find_asymmetry(chart: Chart, knowledge: SarcopeniaKnowledge) -> tuple[Measurement, ...]:
    """The best of each hand on the newest day, where they differ by more than the site's choice."""
    grips = [g for g in chart.measurements.get("grip_strength", ()) if g.comparator is None]
    if not grips or not is_fresh(chart, knowledge, grips[0]):
        return ()
    best: dict[str, Measurement] = {}
    for grip in grips:
        if grip.day == grips[0].day and grip.side is not None:
            best_of_side = best.get(grip.side)
            if best_of_side is None or grip.value > best_of_side.value:
                best[grip.side] = grip
    if len(best) < len(("left", "right")):
        return ()
    stronger, weaker = sorted(best.values(), key=lambda grip: grip.value, reverse=True)
    difference = (stronger.value - weaker.value) / stronger.value if stronger.value else 0.0
    limit = knowledge.policy["grip_asymmetry_percent"] / 100
    return (stronger, weaker) if difference > limit else ()
