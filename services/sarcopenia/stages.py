"""Classify sarcopenia from the levels of its parts: one pure function for each definition.

Strength, mass and performance are "low", "normal" or "unknown"; `screen` is "positive",
"negative" or None; `attempted` says that something was measured that could not be read.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from services.assessment.codes import Level, SarcopeniaCategory

Algorithm: TypeAlias = Callable[[Level, Level, Level, str | None, bool], SarcopeniaCategory]


def classify_ewgsop2(
    strength: Level, mass: Level, performance: Level, screen: str | None, attempted: bool
) -> SarcopeniaCategory:
    """EWGSOP2: find, assess, confirm, severity. Strength decides; low mass alone is nothing."""
    if strength == Level.NORMAL:
        return SarcopeniaCategory.NO_SARCOPENIA
    if strength == Level.LOW:
        if mass != Level.LOW:
            return SarcopeniaCategory.PROBABLE
        return (
            SarcopeniaCategory.SEVERE if performance == Level.LOW else SarcopeniaCategory.CONFIRMED
        )
    if attempted or mass != Level.UNKNOWN or performance != Level.UNKNOWN:
        return SarcopeniaCategory.INDETERMINATE
    return {
        "positive": SarcopeniaCategory.FIND_POSITIVE,
        "negative": SarcopeniaCategory.FIND_NEGATIVE,
    }.get(screen or "", SarcopeniaCategory.NOT_ASSESSED)


def classify_awgs2019(
    strength: Level, mass: Level, performance: Level, screen: str | None, attempted: bool
) -> SarcopeniaCategory:
    """AWGS 2019: possible by low strength or performance, sarcopenia with low mass as well.

    Severe with all three.
    """
    if Level.LOW in (strength, performance):
        if mass != Level.LOW:
            return SarcopeniaCategory.POSSIBLE
        return (
            SarcopeniaCategory.SEVERE_SARCOPENIA
            if strength == performance == Level.LOW
            else SarcopeniaCategory.SARCOPENIA
        )
    if strength == performance == Level.NORMAL:
        return SarcopeniaCategory.NO_SARCOPENIA
    if attempted or {strength, mass, performance} != {Level.UNKNOWN}:
        return SarcopeniaCategory.INDETERMINATE
    return {
        "positive": SarcopeniaCategory.SCREEN_POSITIVE,
        "negative": SarcopeniaCategory.SCREEN_NEGATIVE,
    }.get(screen or "", SarcopeniaCategory.NOT_ASSESSED)


def classify_sdoc2020(
    strength: Level, _mass: Level, performance: Level, _screen: str | None, attempted: bool
) -> SarcopeniaCategory:
    """SDOC 2020: low grip strength and slow gait; mass is left out."""
    return _classify_by_both(strength, performance, attempted=attempted)


def classify_fnih2014(
    strength: Level, mass: Level, _performance: Level, _screen: str | None, attempted: bool
) -> SarcopeniaCategory:
    """FNIH 2014: weakness and low lean mass; slowness is shown beside."""
    return _classify_by_both(strength, mass, attempted=attempted)


def _classify_by_both(level: Level, other_level: Level, *, attempted: bool) -> SarcopeniaCategory:
    """Both must be low: one that is normal rules out, one that is unknown leaves open."""
    if Level.NORMAL in (level, other_level):
        return SarcopeniaCategory.NO_SARCOPENIA
    if level == other_level == Level.LOW:
        return SarcopeniaCategory.SARCOPENIA
    if attempted or Level.LOW in (level, other_level):
        return SarcopeniaCategory.INDETERMINATE
    return SarcopeniaCategory.NOT_ASSESSED


ALGORITHMS: Mapping[str, Algorithm] = {
    "ewgsop2": classify_ewgsop2,
    "awgs2019": classify_awgs2019,
    "sdoc2020": classify_sdoc2020,
    "fnih2014": classify_fnih2014,
}
# What each algorithm looks at; what it leaves out is never asked for.
MEASURES_USED: Mapping[str, frozenset[str]] = {
    "ewgsop2": frozenset({"strength", "mass", "performance"}),
    "awgs2019": frozenset({"strength", "mass", "performance"}),
    "sdoc2020": frozenset({"strength", "performance"}),
    "fnih2014": frozenset({"strength", "mass"}),
}
