"""Survey table of a site: a weight for each patient, and columns to break results down by."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

from services.population.run.parquet import write_table

DESIGN_COLUMNS = {"weight": "DOUBLE", "stratum": "VARCHAR", "unit": "VARCHAR"}
SURVEY_FILE = "survey.parquet"


class SurveyError(ValueError):
    """The table cannot be used: file, line, column and why."""


def write_survey(file: Path, out: Path, hash_id: Callable[[str], str]) -> int:
    """Write `file`, a CSV table whose first column is the patient's id, with hashed ids.

    Returns the number of rows.

    `weight` is a number, `stratum` and `unit` are those of a clustered sample; every other column
    is text to break results down by. Raises SurveyError, OSError.
    """
    with file.open(encoding="utf-8-sig", newline="") as lines:
        table = csv.reader(lines)
        head = [name.strip() for name in next(table, [])]
        _check_header(head, file)
        columns = {
            "patient": "VARCHAR",
            **{name: DESIGN_COLUMNS.get(name, "VARCHAR") for name in head[1:]},
        }
        rows = list(_read_rows(table, head, file, hash_id))
    write_table(rows, columns, out / SURVEY_FILE)
    return len(rows)


def _check_header(head: list[str], file: Path) -> None:
    names = head[1:]
    if not names or "" in names or "patient" in names or len(set(names)) < len(names):
        raise SurveyError(
            f"{file}: line 1: the patient's id and, after it, columns with a name each are needed"
        )


def _read_rows(
    table: Iterator[list[str]], head: list[str], file: Path, hash_id: Callable[[str], str]
) -> Iterator[dict[str, str | float | None]]:
    patients: set[str] = set()
    for number, cells in enumerate(table, start=2):
        if not cells:
            continue
        if len(cells) != len(head):
            raise SurveyError(f"{file}: line {number}: {len(cells)} cells, not {len(head)}")
        if cells[0] in patients:
            raise SurveyError(f"{file}: line {number}: a patient for the second time")
        patients.add(cells[0])
        row: dict[str, str | float | None] = {"patient": hash_id(cells[0].removeprefix("Patient/"))}
        for name, cell in zip(head[1:], cells[1:], strict=True):
            row[name] = _parse_weight(cell, file, number) if name == "weight" else cell or None
        yield row


def _parse_weight(cell: str, file: Path, number: int) -> float | None:
    if not cell.strip():
        return None
    try:
        weight = float(cell)
    except ValueError:
        raise SurveyError(f"{file}: line {number}: weight is no number") from None
    if not 0 <= weight < float("inf"):
        raise SurveyError(f"{file}: line {number}: weight is below zero or without bounds")
    return weight
