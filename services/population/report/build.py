"""Build the report of a population run: a page, figures as JSON, each table as CSV."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from services.population.report import agreement, prevalence, workload
from services.population.report.dataset import RunDataset, open_dataset
from services.population.report.layout import Grid, build_display
from services.population.report.masking import mask_table
from services.population.report.summary import (
    list_facts,
    list_limitations,
    list_tiles,
    write_summary,
)
from services.population.report.table import ComputedTable, Table, list_macros
from services.reports.figures import ComputedFigure, compute_figure
from services.reports.output import write_rows
from services.reports.page import render_template

if TYPE_CHECKING:
    from services.reports.vega import Drawing

MAX_OPEN_ROWS = 14  # rows of a table; one that is longer opens when asked
# The sections of the page, and the tables of each; a name that ends in * is of all that begin so.
SECTIONS: Mapping[str, Sequence[str]] = {
    "Would-be cards": (
        "visits", "cards_by_week", "clinician_days", "worst_card", "cards", "card_patients",
        "withheld",
    ),
    "Vitamin B12": (
        "b12_category", "b12_category_measured", "b12_found_by_age_and_sex", "b12_category_by_*",
        "indicator",
    ),
    "Muscle": (
        "muscle_category", "muscle_category_measured", "muscle_found_by_age_and_sex",
        "muscle_category_by_*", "muscle_findings",
    ),
    "Attention": (
        "urgency", "tier", "together", "differential", "b12_next_steps", "muscle_next_steps",
        "b12_flags", "muscle_flags",
    ),
    "Guidelines compared": ("agreement", "confusion_*", "changed", "at_the_limits"),
    "Results by limit": ("b12_limits", "muscle_limits"),
    "What is missing": ("missing", "missing_by_b12", "missing_by_muscle", "unusable"),
    "People to look at": ("review",),
    "The input": ("resources", "dropped", "complaints"),
}  # fmt: skip


def render_page(dataset: RunDataset, tables: Mapping[str, ComputedTable], mask_below: int) -> str:
    figures = {name: result.computed for name, result in tables.items()}
    drawings: Mapping[str, Drawing] = {}
    if has_charts := find_spec("vl_convert") is not None:
        from services.population.report.charts import draw_charts  # noqa: PLC0415  # an extra

        drawings = draw_charts(figures)
    style = (files("services.reports") / "templates" / "population_report.css").read_text(
        encoding="utf-8"
    )
    displays = {name: build_display(result) for name, result in tables.items()}
    return render_template(
        "population_report.html",
        {
            "sections": _arrange_sections(tables),
            "figures": {name: result.table.figure for name, result in tables.items()},
            "laid": displays,
            "grids": {name for name, result in displays.items() if isinstance(result, Grid)},
            "listings": {name for name, result in tables.items() if result.table.listing},
            "drawings": drawings,
            "has_charts": has_charts,
            "facts": list_facts(dataset),
            "tiles": list(list_tiles(dataset, figures)),
            "in_short": write_summary(dataset, figures),
            "cautions": list_limitations(dataset),
            "run": dataset,
            "mask_below": mask_below,
            "at_sight": MAX_OPEN_ROWS,
        },
        style,
    )


def _arrange_sections(tables: Mapping[str, ComputedTable]) -> Mapping[str, list[str]]:
    """The tables that there are, in the order of the page; every one stands somewhere."""
    sections: dict[str, list[str]] = {}
    for title, names in SECTIONS.items():
        present = [
            name
            for pattern in names
            for name in tables
            if name == pattern or (pattern[-1] == "*" and name.startswith(pattern[:-1]))
        ]
        if present:
            sections[title] = list(dict.fromkeys(present))
    return sections


FIGURES_FILE = "figures.json"


def remove_tables(folder: Path) -> None:
    """Takes the tables of an earlier report away, and no other file."""
    try:
        earlier = orjson.loads((folder / FIGURES_FILE).read_bytes())["figures"]
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return
    for name in earlier:
        (folder / f"{Path(name).name}.csv").unlink(missing_ok=True)


def write_csv(folder: Path, tables: Mapping[str, ComputedTable]) -> None:
    """A file for each table; listings are written already."""
    for name, result in tables.items():
        if not result.table.listing:
            write_rows(folder / f"{name}.csv", result.computed.columns, result.computed.rows)


def write_json(
    folder: Path, dataset: RunDataset, tables: Mapping[str, ComputedTable], mask_below: int
) -> None:
    """Everything that the page shows, by names that stay the same."""
    document = {
        "run": {key: value for key, value in dataset.run.items() if key != "fingerprint"},
        "where": dataset.where,
        "people": dataset.people,
        "weighted": dataset.weighted,
        "withoutWeight": dataset.without_weight,
        "maskedBelow": mask_below,
        "figures": {
            name: {
                "title": result.table.figure.title,
                "says": result.table.figure.says,
                "columns": result.computed.columns,
                "rows": result.computed.rows,
                "total": result.total,
            }
            for name, result in tables.items()
        },
    }
    (folder / FIGURES_FILE).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


MAX_LISTED = 60  # people of a listing that the page and the JSON name; its CSV names all


def make_report(
    out: Path, *, where: str | None = None, into: Path | None = None, mask_below: int = 0
) -> None:
    """Reports on the run in `out`: index.html, figures.json and CSV files in `into`, by default in
    the run's own folder `report`.

    `where` restricts it to people who meet a condition of SQL on the columns of assessments and of
    the survey. With `mask_below`, smaller numbers are hidden and no person is listed. Raises
    ReportError, and OSError where nothing can be written.
    """
    folder = into or out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    remove_tables(folder)
    with open_dataset(out, folder, where) as dataset:
        tables = {
            table.name: _compute_table(dataset, table, mask_below)
            for table in _build_tables(dataset)
        }
    write_csv(folder, tables)
    write_json(folder, dataset, tables, mask_below)
    (folder / "index.html").write_text(render_page(dataset, tables, mask_below), encoding="utf-8")


def _build_tables(dataset: RunDataset) -> Iterator[Table]:
    for statement in list_macros(weighted=dataset.weighted):
        dataset.connection.execute(statement)
    yield from prevalence.build_tables(dataset)
    yield from workload.build_tables(dataset)
    yield from workload.build_card_tables(dataset)
    if dataset.compared:
        agreement.create_pair_table(dataset)
        yield from agreement.build_tables(dataset)
    yield from prevalence.build_limit_tables(dataset)
    yield from prevalence.build_missing_tables(dataset)
    yield workload.build_review_table(dataset)


def _compute_table(dataset: RunDataset, table: Table, mask_below: int) -> ComputedTable:
    """A table with its rows; the engine itself writes all rows of a listing, for they are many."""
    if table.listing:
        if mask_below > 1:
            return ComputedTable(table, ComputedFigure(table.figure, (), ()), 0)
        total = dataset.write_query(table.figure.query, f"{table.name}.csv")
        first_rows = replace(table.figure, query=f"{table.figure.query} LIMIT {MAX_LISTED}")
        return ComputedTable(
            table,
            replace(compute_figure(dataset.connection, first_rows), figure=table.figure),
            total,
        )
    computed = compute_figure(dataset.connection, table.figure)
    computed = mask_table(table, computed, mask_below) if mask_below > 1 else computed
    return ComputedTable(table, computed, len(computed.rows))
