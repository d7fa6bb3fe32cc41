"""Tables as a reader sees them: plain words, shares with their intervals, grids."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from services.population.report import categories, words
from services.population.report.table import Filled, Table
from services.report.figure import Computed
from services.report.finding import number
from services.report.layout import Laid

MOST_ROWS = 60  # of one table on the page; the CSV has all
SHADES = (2, 5, 10, 20, 40, 60, 80)  # limits of the shades of a grid, in percent of its whole
INTERVAL = ("from %", "to %")
SPOKEN: Mapping[str, Callable[[str], str]] = {
    "category": words.said,
    "b12_category": words.said,
    "muscle_category": words.said,
    "first says": words.said,
    "other says": words.said,
    "urgency": words.said,
    "b12_urgency": words.said,
    "class": words.said,
    "finding": words.said,
    "level": words.said,
    "reason": words.said,
    "missing": words.lacking,
    "result": words.unusable,
    "step": words.advised,
    "flag": words.advised,
    "cause": words.cause,
    "topic": words.topic,
    "topics": lambda value: ", ".join(map(words.topic, value.split(", "))),
    "axis": {"b12": "Vitamin B12", "muscle": "Muscle"}.__getitem__,
}
HEADINGS = {
    "b12_category": "vitamin B12",
    "b12_urgency": "urgency",
    "muscle_category": "muscle",
    "measured_in": "unit",
    "age_band": "age",
    "share %": "share",
}
# Codes of a listing stay short, and a result of evidence is a sentence already.
LISTED: Mapping[str, Callable[[str], str]] = {**SPOKEN, "result": str, "tier": str}


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    shade: int | None = None
    same: bool = False  # both say the same


@dataclass(frozen=True, slots=True)
class Grid:
    """One thing down, another across; the last column may be how many people each row is of."""

    title: str
    corner: str
    across: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]
    total: int


def laid_out(filled: Filled) -> Laid | Grid:
    table, computed = filled.table, filled.computed
    if table.across is not None:
        return _grid(table, computed)
    return replace(_listed(table, computed), total=filled.total)


def _listed(table: Table, computed: Computed) -> Laid:
    spoken: Mapping[str, Callable[[str], str]] = (
        LISTED if table.listing else {**SPOKEN, "tier": words.said}
    )
    apart = [name for name in computed.columns if name not in INTERVAL]
    bounded = len(apart) < len(computed.columns)
    share = "weighted %" if "weighted %" in apart else "share %"
    rows = [
        tuple(
            _share(row) if bounded and name == share else shown(name, row[name], spoken)
            for name in apart
        )
        for row in computed.dicts()[:MOST_ROWS]
    ]
    headings = [HEADINGS.get(name, name) for name in apart]
    if bounded:
        headings[apart.index(share)] = f"{'weighted share' if share[0] == 'w' else 'share'} (95 %)"
    return Laid(
        table.figure.title,
        tuple(headings),
        tuple(_is_number(name, computed) for name in apart),
        tuple(rows),
        len(computed.rows),
    )


def _is_number(name: str, computed: Computed) -> bool:
    place = computed.columns.index(name)
    values = [row[place] for row in computed.rows]
    return any(isinstance(value, int | float) for value in values) or name.endswith("%")


def _share(row: Mapping[str, Any]) -> str:
    name = "weighted %" if "weighted %" in row else "share %"
    if row[name] is None:
        return ""
    low, high = (row[bound] for bound in INTERVAL)
    said = percent(row[name])
    return said if low is None else f"{said} ({percent(low)[:-2]} to {percent(high)[:-2]})"


def percent(value: float) -> str:
    """As many digits as a reader needs."""
    digits = 2 if 0 < value < 0.1 else 1
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}%"


def shown(name: str, value: Any, spoken: Mapping[str, Callable[[str], str]] = SPOKEN) -> str:
    """One value for readers."""
    match value:
        case None | "":
            return ""
        case str():
            return spoken.get(name, str)(value)
        case date():
            return value.isoformat()
        case float() if name.endswith("%"):
            return percent(value)
        case float() if name == "kappa":
            return f"{value:.2f}"
        case float() if name == "value":
            return f"{value:g}"
        case float():
            return f"{value:,.1f}"
    return number(value)


def _grid(table: Table, computed: Computed) -> Grid:
    assert table.across is not None  # noqa: S101
    down, across, number_of = table.across
    rows = computed.dicts()
    order = [*words.B12, *words.MUSCLE]
    columns = sorted(
        {row[across] for row in rows},
        key=lambda one: (order.index(one) if one in order else -1, one),
    )
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in rows:
        lines.setdefault(row[down], {})[row[across]] = row
    of_each = {name: _whole(line.values(), number_of) for name, line in lines.items()}
    known = all(whole is not None for whole in of_each.values())
    made = []
    for name, line in list(lines.items())[:MOST_ROWS]:
        cells = [_cell(line.get(one), number_of, of_each[name], down, across) for one in columns]
        total = of_each[name]
        made.append((shown(down, name), (*cells, *([Cell(number(total or 0))] if known else []))))
    heads = [shown(across, one) for one in columns]
    heads += [("of" if number_of.endswith("%") else "all")] if known else []
    return Grid(table.figure.title, HEADINGS.get(down, down), tuple(heads), tuple(made), len(lines))


def _whole(rows: Iterable[Mapping[str, Any]], number_of: str) -> int | None:
    """Of how many people a line is; None where that is hidden."""
    found = list(rows)
    if number_of.endswith("%"):
        whole = found[0]["of"]
        return whole if isinstance(whole, int) else None
    numbers = [row[number_of] for row in found]
    return sum(numbers) if all(isinstance(one, int) for one in numbers) else None


def _cell(
    row: Mapping[str, Any] | None, number_of: str, whole: int | None, down: str, across: str
) -> Cell:
    if row is None:
        return Cell("")
    same = across == "other says" and categories.same(row[down], row[across])
    value = row["weighted %"] if number_of.endswith("%") and "weighted %" in row else row[number_of]
    if not isinstance(value, int | float):
        return Cell(value or row["patients"], None, same)
    if number_of.endswith("%"):
        return Cell(percent(value), _shade(value), same)
    return Cell(number(value), _shade(100 * value / whole) if whole else None, same)


def _shade(share: float) -> int:
    return sum(share >= limit for limit in SHADES)
