"""A report of a run from the run's own files: a page, figures as JSON, each table as CSV."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from services.population.report import (
    attention,
    cards,
    comparing,
    lacking,
    limits,
    prevalence,
    review,
)
from services.population.report.gathered import Gathered, gathered
from services.population.report.masking import masked
from services.population.report.page import page
from services.population.report.shares import macros
from services.population.report.table import Filled, Table
from services.population.report.writing import clear, write_csv, write_json
from services.report.figure import Computed, computed

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
    yield from attention.tables(run)
    yield from cards.tables(run)
    if run.compared:
        comparing.prepare(run)
        yield from comparing.tables(run)
    yield from limits.tables(run)
    yield from lacking.tables(run)
    yield review.table(run)


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
