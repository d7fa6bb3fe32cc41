"""Tables as a reader sees them: plain words, shares with their intervals, grids."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from services.population.report import categories, labels
from services.population.report.table import Filled, Table
from services.reports.figures import Computed
from services.reports.highlight import number
from services.reports.page import Laid

MOST_ROWS = 60  # of one table on the page; the CSV has all
SHADES = (2, 5, 10, 20, 40, 60, 80)  # limits of the shades of a grid, in percent of its whole
INTERVAL = ("from %", "to %")
UNSHOWN = ("measured_in",)  # the limit beside it says it
SPOKEN: Mapping[str, Callable[[str], str]] = {
    "category": labels.said,
    "b12_category": labels.said,
    "muscle_category": labels.said,
    "first says": labels.said,
    "other says": labels.said,
    "urgency": labels.said,
    "b12_urgency": labels.said,
    "class": labels.said,
    "grade": labels.grade,
    "age_band": labels.ages,
    "finding": labels.said,
    "level": labels.said,
    "reason": labels.said,
    "rule": labels.said,
    "missing": labels.lacking,
    "result": labels.unusable,
    "step": labels.advised,
    "flag": labels.advised,
    "cause": labels.cause,
    "topic": labels.topic,
    "topics": lambda value: ", ".join(map(labels.topic, value.split(", "))),
    "guideline": labels.unbroken,
    "definition": labels.unbroken,
    "other": labels.unbroken,
    "hook": labels.unbroken,
    "patient": labels.beginning,
    "axis": {"b12": "Vitamin B12", "muscle": "Muscle"}.__getitem__,
}
HEADINGS = {
    "b12_category": "vitamin B12",
    "b12_urgency": "urgency",
    "muscle_category": "muscle",
    "age_band": "age",
    "share %": "share",
}
HYPHENS = {
    "eterminate": "eter\N{SOFT HYPHEN}minate",
    "nterpreted": "nter\N{SOFT HYPHEN}preted",
    "eficiency": "efi\N{SOFT HYPHEN}ciency",
    "arcopenia": "arco\N{SOFT HYPHEN}penia",
    "creening": "creen\N{SOFT HYPHEN}ing",
    "eatment": "eat\N{SOFT HYPHEN}ment",
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
    """One thing down, another across; how many people they are of stands last."""

    title: str
    corner: str
    across: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def laid_out(filled: Filled) -> Laid | Grid:
    table, computed = filled.table, filled.computed
    if table.across is not None:
        return _grid(table, table.across, computed)
    return replace(_listed(table, computed), total=filled.total)


def _listed(table: Table, computed: Computed) -> Laid:
    spoken = LISTED if table.listing else {**SPOKEN, "tier": labels.said}
    apart = [name for name in computed.columns if name not in (*INTERVAL, *UNSHOWN)]
    bounded = "to %" in computed.columns
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
        headings[apart.index(share)] = (
            f"{'weighted share' if share[0] == 'w' else 'share'} (95\N{NO-BREAK SPACE}%)"
        )
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
    """As many digits as a reader needs; what is not nothing is never shown as nothing."""
    if 0 < value < 0.005:
        return "<0.01\N{NO-BREAK SPACE}%"
    digits = 2 if 0 < value < 0.095 else 1
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


def _grid(table: Table, across: tuple[str, str, str], computed: Computed) -> Grid:
    """Shares are of each column, counts of each row."""
    down, over, number_of = across
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in computed.dicts():
        lines.setdefault(row[down], {})[row[over]] = row
    columns = _in_order(dict.fromkeys(row[over] for row in computed.dicts()))
    heads = [hyphenated(shown(over, one)) for one in columns]
    rows = []
    for name in _in_order(lines):
        line = lines[name]
        total = None if number_of.endswith("%") else _total(line.values(), number_of)
        cells = [_cell(line.get(one), number_of, total, across) for one in columns]
        if not number_of.endswith("%"):
            cells.append(Cell("" if total is None else number(total)))
        rows.append((shown(down, name), tuple(cells)))
    if number_of.endswith("%"):
        wholes = {row[over]: row["of"] for row in computed.dicts()}
        rows.append(("People", tuple(Cell(shown("of", wholes[one])) for one in columns)))
    else:
        heads.append("all")
    return Grid(table.figure.title, HEADINGS.get(down, down), tuple(heads), tuple(rows))


def _in_order(names: Collection[str]) -> list[str]:
    """Categories in the order of their words, anything else as it came."""
    for axis in (labels.B12, labels.MUSCLE):
        if set(names) <= set(axis):
            return sorted(names, key=list(axis).index)
    return list(names)


def _total(rows: Iterable[Mapping[str, Any]], number_of: str) -> int | None:
    """None where a part of it is hidden."""
    numbers = [row[number_of] for row in rows]
    return sum(numbers) if all(isinstance(one, int) for one in numbers) else None


def _cell(
    row: Mapping[str, Any] | None, number_of: str, total: int | None, across: tuple[str, str, str]
) -> Cell:
    if row is None:
        return Cell("")
    same = across[1] == "other says" and categories.same(row[across[0]], row[across[1]])
    if number_of.endswith("%"):
        value = row["weighted %"] if "weighted %" in row else row[number_of]
        if value is None:
            return Cell(row["patients"])
        return Cell(percent(value), _shade(value))
    value = row[number_of]
    if not isinstance(value, int):
        return Cell(value, None, same)
    return Cell(number(value), _shade(100 * value / total) if total else None, same)


def hyphenated(text: str) -> str:
    """With places where a narrow heading may be broken."""
    for whole, parts in HYPHENS.items():
        text = text.replace(whole, parts)
    return text


def _shade(share: float) -> int:
    return sum(share >= limit for limit in SHADES)
