"""A figure of a report: a query, and the rows that it gave."""

from dataclasses import dataclass
from typing import Any

import duckdb


@dataclass(frozen=True, slots=True)
class Figure:
    name: str  # of its CSV file, and its place on the page
    title: str
    says: str
    query: str
    long: bool = False  # for charts and CSV: too many rows for a reader


@dataclass(frozen=True, slots=True)
class Computed:
    """A figure with its rows."""

    figure: Figure
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def computed(connection: duckdb.DuckDBPyConnection, figure: Figure) -> Computed:
    """`figure` by its query."""
    found = connection.execute(figure.query)
    columns = tuple(column[0] for column in found.description or ())
    return Computed(figure, columns, tuple(tuple(map(printable, row)) for row in found.fetchall()))


def printable(value: Any) -> Any:
    """A text without what would steer a terminal or break a drawing; any other value as it is."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value
    )
