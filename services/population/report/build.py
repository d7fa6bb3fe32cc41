"""Build the report of a population run: a page, figures as JSON, each table as CSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from services.population.report import agreement, cards, missing_data, prevalence, workload
from services.population.report.dataset import Gathered, gathered
from services.population.report.layout import Grid, laid_out
from services.population.report.masking import masked
from services.population.report.summary import cautions, facts, in_short, tiles
from services.population.report.table import Filled, Table, macros
from services.reports.figures import Computed, computed
from services.reports.page import rendered

if TYPE_CHECKING:
    from services.reports.vega import Drawing

AT_SIGHT = 14  # rows of a table; one that is longer opens when asked
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


def page(run: Gathered, filled: Mapping[str, Filled], mask_below: int) -> str:
    figures = {name: one.computed for name, one in filled.items()}
    drawn: Mapping[str, Drawing] = {}
    if has_charts := find_spec("vl_convert") is not None:
        from services.population.report.charts import drawings  # noqa: PLC0415  # an extra

        drawn = drawings(figures)
    style = (files("services.reports") / "templates" / "population_report.css").read_text(
        encoding="utf-8"
    )
    laid = {name: laid_out(one) for name, one in filled.items()}
    return rendered(
        "population_report.html",
        {
            "sections": _sections(filled),
            "figures": {name: one.table.figure for name, one in filled.items()},
            "laid": laid,
            "grids": {name for name, one in laid.items() if isinstance(one, Grid)},
            "listings": {name for name, one in filled.items() if one.table.listing},
            "drawings": drawn,
            "has_charts": has_charts,
            "facts": facts(run),
            "tiles": list(tiles(run, figures)),
            "in_short": in_short(run, figures),
            "cautions": cautions(run),
            "run": run,
            "mask_below": mask_below,
            "at_sight": AT_SIGHT,
        },
        style,
    )


def _sections(filled: Mapping[str, Filled]) -> Mapping[str, list[str]]:
    """The tables that there are, in the order of the page; every one stands somewhere."""
    placed: dict[str, list[str]] = {}
    for title, names in SECTIONS.items():
        found = [
            name
            for wanted in names
            for name in filled
            if name == wanted or (wanted[-1] == "*" and name.startswith(wanted[:-1]))
        ]
        if found:
            placed[title] = list(dict.fromkeys(found))
    return placed


FIGURES = "figures.json"


def clear(folder: Path) -> None:
    """Takes the tables of an earlier report away, and no other file."""
    try:
        earlier = orjson.loads((folder / FIGURES).read_bytes())["figures"]
    except (FileNotFoundError, orjson.JSONDecodeError, KeyError, TypeError):
        return
    for name in earlier:
        (folder / f"{Path(name).name}.csv").unlink(missing_ok=True)


def write_csv(folder: Path, filled: Mapping[str, Filled]) -> None:
    """A file for each table; listings are written already."""
    for name, one in filled.items():
        if not one.table.listing:
            with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(one.computed.columns)
                writer.writerows(one.computed.rows)


def write_json(folder: Path, run: Gathered, filled: Mapping[str, Filled], mask_below: int) -> None:
    """Everything that the page shows, by names that stay the same."""
    said = {
        "run": {key: value for key, value in run.run.items() if key != "fingerprint"},
        "where": run.where,
        "people": run.people,
        "weighted": run.weighted,
        "withoutWeight": run.left_out,
        "maskedBelow": mask_below,
        "figures": {
            name: {
                "title": one.table.figure.title,
                "says": one.table.figure.says,
                "columns": one.computed.columns,
                "rows": one.computed.rows,
                "total": one.total,
            }
            for name, one in filled.items()
        },
    }
    (folder / FIGURES).write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2) + b"\n")


LISTED = 60  # people of a listing that the page and the JSON name; its CSV names all


def make_report(
    out: Path, *, where: str | None = None, into: Path | None = None, mask_below: int = 0
) -> None:
    """Reports on the run in `out`: index.html, figures.json and CSV files in `into`, by default in
    the run's own folder `report`.

    `where` restricts it to people who meet a condition of SQL on the columns of assessments and of
    the survey. With `mask_below`, smaller numbers are hidden and no person is listed. Raises
    ReportRefused, and OSError where nothing can be written.
    """
    folder = into or out / "report"
    folder.mkdir(parents=True, exist_ok=True)
    clear(folder)
    with gathered(out, folder, where) as run:
        filled = {table.name: _filled(run, table, mask_below) for table in _tables(run)}
    write_csv(folder, filled)
    write_json(folder, run, filled, mask_below)
    (folder / "index.html").write_text(page(run, filled, mask_below), encoding="utf-8")


def _tables(run: Gathered) -> Iterator[Table]:
    for statement in macros(weighted=run.weighted):
        run.connection.execute(statement)
    yield from prevalence.tables(run)
    yield from workload.tables(run)
    yield from cards.tables(run)
    if run.compared:
        agreement.prepare(run)
        yield from agreement.tables(run)
    yield from missing_data.limit_tables(run)
    yield from missing_data.tables(run)
    yield workload.table(run)


def _filled(run: Gathered, table: Table, mask_below: int) -> Filled:
    """A table with its rows; the engine itself writes all rows of a listing, for they are many."""
    if table.listing:
        if mask_below > 1:
            return Filled(table, Computed(table.figure, (), ()), 0)
        total = run.written(table.figure.query, f"{table.name}.csv")
        some = replace(table.figure, query=f"{table.figure.query} LIMIT {LISTED}")
        return Filled(table, replace(computed(run.connection, some), figure=table.figure), total)
    found = computed(run.connection, table.figure)
    found = masked(table, found, mask_below) if mask_below > 1 else found
    return Filled(table, found, len(found.rows))
