"""Tables as a reader sees them: plain words, shares with their intervals, grids."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from services.population.report import categories, labels
from services.population.report.table import ComputedTable, Table
from services.reports.figures import ComputedFigure
from services.reports.page import DisplayTable
from services.reports.text_format import format_number

MAX_ROWS = 60  # of one table on the page; the CSV has all
SHADE_LIMITS = (2, 5, 10, 20, 40, 60, 80)  # limits of the shades of a grid, in percent of its whole
INTERVAL_COLUMNS = ("from %", "to %")
HIDDEN_COLUMNS = ("measured_in",)  # the limit beside it says it
FORMATTERS: Mapping[str, Callable[[str], str]] = {
    "category": labels.get_label,
    "b12_category": labels.get_label,
    "muscle_category": labels.get_label,
    "first says": labels.get_label,
    "other says": labels.get_label,
    "urgency": labels.get_label,
    "b12_urgency": labels.get_label,
    "class": labels.get_label,
    "grade": labels.get_grade_label,
    "age_band": labels.shorten_age_band,
    "finding": labels.get_label,
    "level": labels.get_label,
    "reason": labels.get_label,
    "rule": labels.get_label,
    "missing": labels.get_data_label,
    "result": labels.get_unusable_label,
    "step": labels.get_advice_label,
    "flag": labels.get_advice_label,
    "cause": labels.get_cause_label,
    "topic": labels.get_topic_label,
    "topics": lambda value: ", ".join(map(labels.get_topic_label, value.split(", "))),
    "guideline": labels.make_unbroken,
    "definition": labels.make_unbroken,
    "other": labels.make_unbroken,
    "hook": labels.make_unbroken,
    "patient": labels.shorten_hash,
    "axis": lambda prefix: categories.TOPICS[prefix].title,
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
LISTING_FORMATTERS: Mapping[str, Callable[[str], str]] = {**FORMATTERS, "result": str, "tier": str}


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


def build_display(result: ComputedTable) -> DisplayTable | Grid:
    table, computed = result.table, result.computed
    if table.across is not None:
        return _build_grid(table, table.across, computed)
    return replace(_build_rows(table, computed), total=result.total)


def _build_rows(table: Table, computed: ComputedFigure) -> DisplayTable:
    formatters = LISTING_FORMATTERS if table.listing else {**FORMATTERS, "tier": labels.get_label}
    names = [name for name in computed.columns if name not in (*INTERVAL_COLUMNS, *HIDDEN_COLUMNS)]
    has_interval = "to %" in computed.columns
    share = "weighted %" if "weighted %" in names else "share %"
    rows = [
        tuple(
            _format_share(row)
            if has_interval and name == share
            else format_value(name, row[name], formatters)
            for name in names
        )
        for row in computed.as_dicts()[:MAX_ROWS]
    ]
    headings = [HEADINGS.get(name, name) for name in names]
    if has_interval:
        headings[names.index(share)] = (
            f"{'weighted share' if share[0] == 'w' else 'share'} (95\N{NO-BREAK SPACE}%)"
        )
    return DisplayTable(
        table.figure.title,
        tuple(headings),
        tuple(_is_number(name, computed) for name in names),
        tuple(rows),
        len(computed.rows),
    )


def _is_number(name: str, computed: ComputedFigure) -> bool:
    place = computed.columns.index(name)
    values = [row[place] for row in computed.rows]
    return any(isinstance(value, int | float) for value in values) or name.endswith("%")


def _format_share(row: Mapping[str, Any]) -> str:
    name = "weighted %" if "weighted %" in row else "share %"
    if row[name] is None:
        return ""
    low, high = (row[bound] for bound in INTERVAL_COLUMNS)
    share = format_percent(row[name])
    return (
        share
        if low is None
        else f"{share} ({format_percent(low)[:-2]} to {format_percent(high)[:-2]})"
    )


def format_percent(value: float) -> str:
    """As many digits as a reader needs; what is not nothing is never shown as nothing."""
    if 0 < value < 0.005:
        return "<0.01\N{NO-BREAK SPACE}%"
    digits = 2 if 0 < value < 0.095 else 1
    return f"{value:.{digits}f}\N{NO-BREAK SPACE}%"


def format_value(
    name: str, value: Any, formatters: Mapping[str, Callable[[str], str]] = FORMATTERS
) -> str:
    """One value for readers."""
    match value:
        case None | "":
            return ""
        case str():
            return formatters.get(name, str)(value)
        case date():
            return value.isoformat()
        case float() if name.endswith("%"):
            return format_percent(value)
        case float() if name == "kappa":
            return f"{value:.2f}"
        case float() if name == "value":
            return f"{value:g}"
        case float():
            return f"{value:,.1f}"
    return format_number(value)


def _build_grid(table: Table, across: tuple[str, str, str], computed: ComputedFigure) -> Grid:
    """Shares are of each column, counts of each row."""
    down, over, counted = across
    lines: dict[str, dict[str, Mapping[str, Any]]] = {}
    for row in computed.as_dicts():
        lines.setdefault(row[down], {})[row[over]] = row
    columns = _sort_names(dict.fromkeys(row[over] for row in computed.as_dicts()))
    heads = [add_soft_hyphens(format_value(over, column)) for column in columns]
    rows = []
    for name in _sort_names(lines):
        line = lines[name]
        total = None if counted.endswith("%") else _sum_counts(line.values(), counted)
        cells = [_build_cell(line.get(column), counted, total, across) for column in columns]
        if not counted.endswith("%"):
            cells.append(Cell("" if total is None else format_number(total)))
        rows.append((format_value(down, name), tuple(cells)))
    if counted.endswith("%"):
        wholes = {row[over]: row["of"] for row in computed.as_dicts()}
        rows.append(
            ("People", tuple(Cell(format_value("of", wholes[column])) for column in columns))
        )
    else:
        heads.append("all")
    return Grid(table.figure.title, HEADINGS.get(down, down), tuple(heads), tuple(rows))


def _sort_names(names: Collection[str]) -> list[str]:
    """Categories in their order, anything else as it came."""
    for topic in categories.TOPICS.values():
        if set(names) <= set(topic.order):
            return sorted(names, key=topic.order.index)
    return list(names)


def _sum_counts(rows: Iterable[Mapping[str, Any]], counted: str) -> int | None:
    """None where a part of it is hidden."""
    numbers = [row[counted] for row in rows]
    return sum(numbers) if all(isinstance(number, int) for number in numbers) else None


def _build_cell(
    row: Mapping[str, Any] | None, counted: str, total: int | None, across: tuple[str, str, str]
) -> Cell:
    if row is None:
        return Cell("")
    same = across[1] == "other says" and categories.is_same_grade(row[across[0]], row[across[1]])
    if counted.endswith("%"):
        value = row["weighted %"] if "weighted %" in row else row[counted]
        if value is None:
            return Cell(row["patients"])
        return Cell(format_percent(value), _find_shade(value))
    value = row[counted]
    if not isinstance(value, int):
        return Cell(value, None, same)
    return Cell(format_number(value), _find_shade(100 * value / total) if total else None, same)


def add_soft_hyphens(text: str) -> str:
    """With places where a narrow heading may be broken."""
    for letters, parts in HYPHENS.items():
        text = text.replace(letters, parts)
    return text


def _find_shade(share: float) -> int:
    return sum(share >= limit for limit in SHADE_LIMITS)
