"""How findings combine into a category: one pure function for each definition.

Strength, mass and performance are "low", "normal" or "unknown"; `screen` is "positive",
"negative" or None; `attempted` says that something was measured that could not be read.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

Algorithm: TypeAlias = Callable[[str, str, str, str | None, bool], str]


def classify_ewgsop2(
    strength: str, mass: str, performance: str, screen: str | None, attempted: bool
) -> str:
    """EWGSOP2: find, assess, confirm, severity. Strength decides; low mass alone is nothing."""
    if strength == "normal":
        return "no_sarcopenia"
    if strength == "low":
        if mass != "low":
            return "probable"
        return "severe" if performance == "low" else "confirmed"
    if attempted or mass != "unknown" or performance != "unknown":
        return "indeterminate"
    return {"positive": "find_positive", "negative": "find_negative"}.get(
        screen or "", "not_assessed"
    )


def classify_awgs2019(
    strength: str, mass: str, performance: str, screen: str | None, attempted: bool
) -> str:
    """AWGS 2019: possible by low strength or low performance, sarcopenia with low mass as well,
    severe with all three."""
    if "low" in (strength, performance):
        if mass != "low":
            return "possible"
        return "severe_sarcopenia" if strength == performance == "low" else "sarcopenia"
    if strength == performance == "normal":
        return "no_sarcopenia"
    if attempted or {strength, mass, performance} != {"unknown"}:
        return "indeterminate"
    return {"positive": "screen_positive", "negative": "screen_negative"}.get(
        screen or "", "not_assessed"
    )


def classify_sdoc2020(
    strength: str, _mass: str, performance: str, _screen: str | None, attempted: bool
) -> str:
    """SDOC 2020: low grip strength and slow gait; mass is left out."""
    return _classify_by_both(strength, performance, attempted=attempted)


def classify_fnih2014(
    strength: str, mass: str, _performance: str, _screen: str | None, attempted: bool
) -> str:
    """FNIH 2014: weakness and low lean mass; slowness is shown beside."""
    return _classify_by_both(strength, mass, attempted=attempted)


def _classify_by_both(one: str, other: str, *, attempted: bool) -> str:
    """Both must be low: one that is normal rules out, one that is unknown leaves open."""
    if "normal" in (one, other):
        return "no_sarcopenia"
    if one == other == "low":
        return "sarcopenia"
    if attempted or "low" in (one, other):
        return "indeterminate"
    return "not_assessed"


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
