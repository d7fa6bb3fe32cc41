"""Screen by SARC-F, calf circumference and SARC-CalF. No answer is unknown, never zero."""

from typing import NamedTuple

from services.assessment.codes import Level, UnknownLevelReason
from services.chart.model import Chart, Measurement
from services.sarcopenia.knowledge import SarcopeniaKnowledge
from services.sarcopenia.measures import MeasureResult, decide, is_fresh, read_measure


class SarcFScore(NamedTuple):
    """Bounds of a SARC-F score: the points answered, and those that open questions could add."""

    lower: Measurement
    upper: Measurement
    unanswered: int

    @property
    def complete(self) -> bool:
        return self.unanswered == 0


class ScreeningResult(NamedTuple):
    """The outcome of screening: "positive", "negative", or None where none is decided."""

    outcome: str | None
    tests: tuple[MeasureResult, ...]
    score: SarcFScore | None
    at_limit: bool  # a calf exactly at its limit, on which SARC-CalF and AWGS part


def screen(chart: Chart, knowledge: SarcopeniaKnowledge) -> ScreeningResult:
    """Screen by the tests that the definition names."""
    score = score_sarc_f(chart, knowledge)
    tests: list[MeasureResult] = []
    at_limit = False
    for name in knowledge.measures_by_meaning.get("positive_screen", ()):
        if name == "sarc_f":
            test = (
                _decide_by_bounds(score, chart, knowledge)
                if score
                else _find_unreadable(chart, knowledge)
            )
        elif name == "sarc_calf":
            test = read_measure(name, chart.measurements.get(name, ()), chart, knowledge)
            if test is None:
                test, at_limit = _score_sarc_calf(score, chart, knowledge)
        else:
            test = read_measure(name, chart.measurements.get(name, ()), chart, knowledge)
        if test is not None:
            tests.append(test)
    levels = {test.level for test in tests}
    outcome = "positive" if Level.LOW in levels else "negative" if Level.NORMAL in levels else None
    if outcome == "negative" and score is not None and not score.complete:
        # A bound that leaves SARC-F open leaves the screen open, whatever the calf says.
        decided = next(t for t in tests if t.observation == "sarc_f").level
        outcome = None if decided == Level.UNKNOWN else outcome
    return ScreeningResult(outcome, tuple(tests), score, at_limit)


def score_sarc_f(chart: Chart, knowledge: SarcopeniaKnowledge) -> SarcFScore | None:
    """The newest SARC-F, from its total or its questions; of one day's the total goes first."""
    total = chart.get_latest("sarc_f")
    items = {name: chart.get_latest(name) for name in knowledge.sarc_f_items}
    newest = max((item.day for item in items.values() if item is not None), default=None)
    answered = {n: item for n, item in items.items() if item is not None and item.day == newest}
    if total is not None and (newest is None or total.day >= newest):
        return SarcFScore(total, total, 0) if is_fresh(chart, knowledge, total) else None
    first = next(iter(answered.values()), None)
    if first is None or not is_fresh(chart, knowledge, first):
        return None
    points = sum(item.value for item in answered.values())
    missing = [most for name, most in knowledge.sarc_f_items.items() if name not in answered]
    lower = first._replace(observation="sarc_f", value=points, reported="")
    return SarcFScore(lower, lower._replace(value=points + sum(missing)), len(missing))


def _decide_by_bounds(
    score: SarcFScore, chart: Chart, knowledge: SarcopeniaKnowledge
) -> MeasureResult | None:
    low, high = (decide(result, chart, knowledge) for result in (score.lower, score.upper))
    if low is None or high is None or score.complete:
        return low
    if low.level != high.level:
        at_least = score.lower._replace(comparator=">=")
        return MeasureResult(
            "sarc_f",
            Level.UNKNOWN,
            at_least,
            low.row,
            UnknownLevelReason.UNANSWERED,
            resource=low.resource,
        )
    if low.level == Level.LOW:
        return low._replace(result=score.lower._replace(comparator=">="))
    return high._replace(result=score.upper._replace(comparator="<="))


def _find_unreadable(chart: Chart, knowledge: SarcopeniaKnowledge) -> MeasureResult | None:
    """A SARC-F that is on record and cannot be read."""
    names = ("sarc_f", *knowledge.sarc_f_items)
    results = (u for name in names for u in chart.unusable.get(name, ()))
    first = next((u for u in results if is_fresh(chart, knowledge, u)), None)
    if first is None:
        return None
    return MeasureResult(
        "sarc_f", Level.UNKNOWN, reason=first.reason, resource=first.resource, unusable=first
    )


def _score_sarc_calf(
    score: SarcFScore | None, chart: Chart, knowledge: SarcopeniaKnowledge
) -> tuple[MeasureResult | None, bool]:
    """SARC-F with the calf's points; not computed where the calf is exactly at its limit."""
    calf = read_measure(
        "calf_circumference", chart.measurements.get("calf_circumference", ()), chart, knowledge
    )
    if calf is None or calf.result is None or calf.row is None:
        return None, False
    if calf.level != Level.UNKNOWN and calf.result.value == calf.row.limit:
        return None, True
    points = knowledge.definition.calf_score
    if score is None or not score.complete or points is None or calf.level == Level.UNKNOWN:
        return None, False
    added = points if calf.level == Level.LOW else 0
    summed = score.lower._replace(
        observation="sarc_calf", value=score.lower.value + added, reported=""
    )
    return decide(summed, chart, knowledge), False
