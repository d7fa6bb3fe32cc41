"""Numbers too small to be passed on: one person in a cell may be known to somebody.

A cell below the limit is hidden, and what is computed from it; so is one that leaves so few out of
its whole. Where one part of a whole alone would be hidden it could be computed from the others, so
the smallest of these is hidden too. Somebody who compares several tables may still infer a number:
hiding small cells is a habit of decency, not a proof.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.population.report.table import Table
from services.reports.figures import ComputedFigure

HIDDEN = "hidden"
WHOLE_COLUMN = "of"
EXACT_COLUMNS = ("times", "files", "resources", "calls", "visits")


def mask_table(table: Table, computed: ComputedFigure, below: int) -> ComputedFigure:
    """`computed` without numbers of people or cards from 1 to `below` - 1."""
    if not table.counts:
        return computed
    rows = [dict(zip(computed.columns, row, strict=True)) for row in computed.rows]
    small = {place for place, row in enumerate(rows) if _is_small(table, row, below)}
    hidden = _add_complements(small, _find_wholes(table, rows), rows, table.counts[0])
    return replace(
        computed,
        rows=tuple(
            tuple(_hide_counts(table, row, below).values())
            if place in hidden
            else tuple(row.values())
            for place, row in enumerate(rows)
        ),
    )


def _is_small(table: Table, row: Mapping[str, object], below: int) -> bool:
    numbers = [row[name] for name in table.counts]
    whole, part = row.get(WHOLE_COLUMN), row[table.counts[0]]
    if isinstance(whole, int) and isinstance(part, int):
        numbers += [whole, whole - part]
    return any(isinstance(number, int) and 0 < number < below for number in numbers)


def _find_wholes(table: Table, rows: list[dict[str, object]]) -> Iterable[list[int]]:
    """Places of rows that are the parts of one whole."""
    lines = [table.within] if table.within is not None else []
    if table.across is not None and not table.across[2].endswith("%"):
        lines += [table.across[:1], table.across[1:2]]  # counts of a grid add up both ways
    for names in lines:
        places: dict[tuple[object, ...], list[int]] = defaultdict(list)
        for place, row in enumerate(rows):
            places[tuple(row[name] for name in names)].append(place)
        yield from places.values()


def _add_complements(
    small: set[int],
    wholes: Iterable[list[int]],
    rows: list[dict[str, object]],
    count: str,
) -> set[int]:
    hidden, lines = set(small), list(wholes)
    while True:
        added = set()
        for places in lines:
            inside = hidden.intersection(places)
            others = [place for place in places if place not in hidden]
            if len(inside) == 1 and others:
                added.add(min(others, key=lambda place: (rows[place][count], place)))
        if not added:
            return hidden
        hidden |= added


def _hide_counts(table: Table, row: dict[str, object], below: int) -> dict[str, object]:
    hidden: dict[str, object] = {}
    for name, value in row.items():
        if name in table.counts or name == WHOLE_COLUMN:
            is_small = isinstance(value, int) and 0 < value < below
            hidden[name] = f"<{below}" if is_small else value if name == WHOLE_COLUMN else HIDDEN
        else:
            computed = isinstance(value, int | float) and name not in EXACT_COLUMNS
            hidden[name] = None if computed else value
    return hidden
