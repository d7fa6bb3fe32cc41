"""A report on a terminal, and as a folder of CSV files."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.reports.figures import ComputedFigure
from services.reports.highlight import Highlight
from services.reports.text_format import format_number, format_time

MAX_ROWS = 15  # of one table on a terminal


def show_report(
    console: Console, figures: Mapping[str, ComputedFigure], highlights: Iterable[Highlight]
) -> None:
    """What stands out, then every table that has rows."""
    console.print(Text("\nWhat stands out\n", style="bold"))
    nothing = True
    for finding in highlights:
        nothing = False
        style = "bold red" if finding.problem else "bold yellow"
        console.print(Text.assemble(("● ", style), (finding.says, "bold")))
        title = figures[finding.where].figure.title
        console.print(Text(f"  {finding.more} See: {title}.", style="dim"))
    if nothing:
        console.print("Nothing, by the rules of this report.")
    for computed in figures.values():
        if computed.rows and not computed.figure.long:
            console.print(_build_table(computed))


def _build_table(computed: ComputedFigure) -> Table:
    figure, omitted = computed.figure, len(computed.rows) - MAX_ROWS
    caption = figure.says + (f" {omitted} more rows: see --csv." if omitted > 0 else "")
    table = Table(
        title=Text(f"\n{figure.title}"), caption=Text(caption), title_justify="left",
        caption_justify="left", title_style="bold",
    )  # fmt: skip
    for place, column in enumerate(computed.columns):
        numeric = is_numeric(computed, place)
        table.add_column(Text(column), justify="right" if numeric else "left", overflow="fold")
    for row in computed.rows[:MAX_ROWS]:
        table.add_row(*(Text(format_value(value)) for value in row))
    return table


def is_numeric(computed: ComputedFigure, place: int) -> bool:
    values = [row[place] for row in computed.rows if row[place] is not None]
    return bool(values) and all(isinstance(value, int | float) for value in values)


def format_value(value: Any) -> str:
    """A value of a figure for readers."""
    match value:
        case None:
            return ""
        case datetime():
            return format_time(value)
        case date():
            return f"{value:%a} {value.isoformat()}"
        case int():
            return format_number(value)
        case float():
            return f"{value:,.1f}"
    return str(value)


def write_csv(
    folder: Path, figures: Mapping[str, ComputedFigure], highlights: Iterable[Highlight]
) -> None:
    """One file for each figure, and one for what stands out."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, computed in figures.items():
        write_rows(folder / f"{name}.csv", computed.columns, computed.rows)
    findings = [(f.problem, f.says, f.more, f.where) for f in highlights]
    write_rows(folder / "findings.csv", ("problem", "says", "more", "see"), findings)


def as_document(figures: Mapping[str, ComputedFigure], highlights: Iterable[Highlight]) -> bytes:
    """The same as JSON: each figure with its words, columns and rows, and what stands out.

    Days and moments are text as CSV has them.
    """
    document = {
        "figures": {
            name: {
                "title": computed.figure.title,
                "says": computed.figure.says,
                "columns": computed.columns,
                "rows": computed.rows,
            }
            for name, computed in figures.items()
        },
        "findings": [asdict(highlight) for highlight in highlights],
    }
    return orjson.dumps(document, default=str, option=orjson.OPT_PASSTHROUGH_DATETIME)


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a CSV file: its header and its rows."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
