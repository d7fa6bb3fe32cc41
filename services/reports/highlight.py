"""One thing that stands out, and how it is worded."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from typing import Any

import duckdb

from services.reports.figures import ComputedFigure

MIN_CALLS = 20  # of a day or a service: fewer say nothing of it
FACTOR = 3  # as much as on the other days

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


def format_day(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


def format_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"


def format_time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def make_plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
