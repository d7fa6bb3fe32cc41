"""Write the parts of a card's detail: tables, lists, gaps. GFM without HTML."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from mappings.text import Text, format_amount, make_text
from services.assessment.evidence import Evidence
from services.chart.model import Chart
from services.knowledge.language import Language


def escape_cell(text: str) -> str:
    """Escape `text` for a table cell: nothing that Markdown or HTML would read as syntax."""
    return text.replace("|", "/").replace("<", "&lt;").replace(">", "&gt;")


def format_day(day: date | None, language: Language) -> str:
    return language.format_day(day) if day else language("undated")


def write_table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [_write_row(heads), f"|{'---|' * len(heads)}", *map(_write_row, rows)]
    return "\n".join(lines)


def _write_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")  # an empty cell is one space wide


def write_evidence_table(
    title: str,
    rows: Sequence[Evidence],
    language: Language,
    spell_units: Callable[[str], str],
    digits: str = "g",
) -> str:
    """Write results with value, day and limit; empty where there is none.

    `title` heads the first column; `spell_units` writes units as clinicians do; `digits` is the
    format of a value.
    """
    if not rows:
        return ""
    heads = [language(head) for head in (title, "Value", "Date", "Compared with")]
    return spell_units(write_table(heads, [_write_cells(row, language, digits) for row in rows]))


def _write_cells(row: Evidence, language: Language, digits: str) -> tuple[str, ...]:
    value = format_amount(row.value or 0.0, row.unit or "", row.comparator, digits)
    limit = language(row.limit or "no limit applied")
    cells = (language(row.says), language(value), format_day(row.day, language), limit)
    return tuple(map(escape_cell, cells))


def write_comparison(comparison: Mapping[str, Any], language: Language) -> str:
    """Write what distinguishes B12 deficiency from other causes of muscle loss, as a table."""
    heads = ("", language("B12 deficiency"), language("Other causes of muscle loss"))
    rows = comparison["row"]
    return write_table(
        heads, [[language(row[name]) for name in ("aspect", "b12", "other")] for row in rows]
    )


def write_bullets(
    title: str, sentences: Iterable[str | None], max_items: int, language: Language
) -> str:
    """Write at most `max_items` of the sentences under their title; empty where there is none."""
    items = [language(sentence) for sentence in sentences if sentence][:max_items]
    if not items:
        return ""
    return f"**{language(title)}**\n\n- " + "\n- ".join(items)


def write_gaps(chart: Chart, keys: Mapping[str, str], language: Language) -> Iterator[str]:
    """Write what of `keys` could not be looked up; never taken for nothing being there."""
    if not (chart.unknown or chart.incomplete):
        return
    missing = tuple(name for key, name in keys.items() if key in chart.unknown)
    partial = tuple(name for key, name in keys.items() if key in chart.incomplete - chart.unknown)
    yield from map(language, describe_gaps(missing, partial))


def describe_gaps(missing: tuple[str, ...], partial: tuple[str, ...]) -> Iterator[Text]:
    """Sentences about data that could not be had, or had in part alone."""
    if missing:
        yield make_text("Could not be checked: {missing}.", missing=missing)
    if partial:
        yield make_text("Only a part was available: {partly}.", partly=partial)
