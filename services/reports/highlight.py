"""What stands out in a report: a rule, what it finds, and how many of a kind are listed."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import duckdb

from services.reports.figures import ComputedFigure

MIN_CALLS = 20  # of a day or a service: fewer say nothing of it
FACTOR = 3  # as much as on the other days
MAX_ALIKE = 4  # highlights of one rule

Figures = Mapping[str, ComputedFigure]


@dataclass(frozen=True, slots=True)
class Highlight:
    says: str
    more: str
    where: str  # name of the figure to look at
    about: str  # the day, topic, tenant ... in short
    problem: bool = True  # False: worth knowing


@dataclass(frozen=True, slots=True)
class HighlightRule:
    says: str
    find: Callable[[Figures, duckdb.DuckDBPyConnection], Iterator[Highlight]]


def compare_days(days: list[dict[str, Any]], name: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Each of at least three days, and the median of the others."""
    if len(days) < 3:
        return
    for day in days:
        yield day, median(other[name] for other in days if other is not day)


def collect_highlights(
    rules: Iterable[HighlightRule], figures: Figures, connection: duckdb.DuckDBPyConnection
) -> list[Highlight]:
    """Apply all rules: problems first, each in the order of the rules."""
    highlights = [
        highlight
        for rule in rules
        for highlight in _limit_highlights(list(rule.find(figures, connection)))
    ]
    return sorted(highlights, key=lambda item: not item.problem)


def _limit_highlights(highlights: list[Highlight]) -> list[Highlight]:
    """The first of what one rule found, and the others in one."""
    if len(highlights) <= MAX_ALIKE:
        return highlights
    first, others = highlights[: MAX_ALIKE - 1], highlights[MAX_ALIKE - 1 :]
    names = ", ".join(highlight.about for highlight in others)
    more = Highlight(f"{len(others)} more like that", f"{names}.", first[0].where, names)
    return [*first, replace(more, problem=first[0].problem)]
