"""The files of a run as DuckDB tables; every figure of a report is a query of them.

    person   who the report is about, a row each: assessed by the first pair of guidelines
    judged   the same people by every pair
    card     would-be cards, shown or withheld
    call     would-be calls; none where the run looked at one day
    survey   weights and sampling units of everyone in the survey, in the report or not
    complaint  what of the input could not be used

Files that are larger than memory are read again for each figure; what is joined lies on disk.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson

from services.population.rows import TABLES
from services.population.run.survey import SURVEY_FILE
from services.reports.duckdb_tools import (
    fetch_number,
    limit_connection,
    quote_identifier,
    quote_text,
)
from services.reports.figures import make_printable


class ReportError(Exception):
    """There is nothing to report on, or not as it was asked for: says what and why."""


DESIGN_COLUMNS = ("weight", "stratum", "unit")
AGE_BANDS = (
    "CASE WHEN age < 20 THEN '0 to 19' WHEN age >= 90 THEN '90 and over' "
    "WHEN age IS NULL THEN 'not known' "
    "ELSE format('{0} to {1}', age // 10 * 10, age // 10 * 10 + 9) END"
)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a site added of each patient: weights, and columns that people may be divided by."""

    weighted: bool
    further: tuple[str, ...]


NO_SURVEY = Survey(weighted=False, further=())


def read_survey(connection: duckdb.DuckDBPyConnection, file: Path) -> Survey:
    """Makes the table survey. A column that assessments have as well is not taken from it."""
    parquet = f"read_parquet({quote_text(file)})"
    columns = [name for name, _ in _list_columns(connection, parquet)]
    weighted = "weight" in columns
    own = {name for name, _ in _list_columns(connection, "written")}
    further = [
        name for name in columns if name not in {"patient", "age_band", *DESIGN_COLUMNS, *own}
    ]
    # Without strata everybody is in one, without units each is one.
    stratum = "coalesce(stratum, '')" if "stratum" in columns else "''"
    unit = "coalesce(unit, patient)" if "unit" in columns else "patient"
    design = f", weight, {stratum} AS stratum, {unit} AS unit" if weighted else ""
    columns_sql = "".join(f", {quote_identifier(name)}" for name in further)
    connection.execute(
        f"""CREATE TABLE survey AS SELECT patient{design}{columns_sql} FROM {parquet}
            {"WHERE weight > 0" if weighted else ""}"""
    )
    return Survey(weighted, tuple(further))


def create_people(connection: duckdb.DuckDBPyConnection, where: str | None, survey: Survey) -> int:
    """Makes person and judged; how many assessed people have no weight."""
    design = ", weight, stratum, unit" if survey.weighted else ""
    columns_sql = "".join(f", survey.{quote_identifier(name)}" for name in survey.further)
    join = "JOIN" if survey.weighted else "LEFT JOIN"
    join = f"{join} survey USING (patient)" if survey != NO_SURVEY else ""
    source = f"(SELECT written.*{design}{columns_sql} FROM written {join} WHERE primary_pair)"
    condition = "" if where is None else f"WHERE ({_check_condition(connection, source, where)})"
    restricted = survey.weighted or where is not None
    connection.execute(
        f"""CREATE {"TABLE" if restricted else "VIEW"} person AS
            SELECT * REPLACE (coalesce(sex, 'not known') AS sex), {AGE_BANDS} AS age_band
            FROM {source} {condition}"""
    )
    added = ", person.weight, person.stratum, person.unit" if survey.weighted else ""
    joined = "JOIN person USING (patient)" if restricted else ""
    connection.execute(f"CREATE VIEW judged AS SELECT written.*{added} FROM written {joined}")
    if not survey.weighted:
        return 0
    return fetch_number(
        connection,
        "SELECT count(*) FROM written ANTI JOIN survey USING (patient) WHERE primary_pair",
    )


def _list_columns(connection: duckdb.DuckDBPyConnection, source: str) -> list[tuple[str, str]]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    return [(name, kind) for name, kind, *_ in described]


def _check_condition(connection: duckdb.DuckDBPyConnection, source: str, where: str) -> str:
    """`where`, once it is known to be one condition on columns that there are."""
    try:
        condition = str(duckdb.SQLExpression(where))
        connection.execute(f"SELECT count(*) FROM {source} WHERE ({condition})")
    except duckdb.Error as error:
        names = ", ".join(
            name for name, kind in _list_columns(connection, source) if not kind.endswith("[]")
        )
        raise ReportError(
            f"the condition {where!r} cannot be used: {_get_first_line(error)}\n"
            f"It may name these columns: {names}"
        ) from None
    return condition


def _get_first_line(error: duckdb.Error) -> str:
    return str(make_printable(str(error).splitlines()[0]))


MEMORY_LIMIT = "768MB"
RUN, REPORT = "run", "report"  # what the two folders are called while the engine works
MAX_VALUES = 20  # of a column of the survey that people are divided by


@dataclass(frozen=True, slots=True)
class RunDataset:
    """A run, ready to be asked."""

    connection: duckdb.DuckDBPyConnection
    folder: Path  # where the engine works
    run: Mapping[str, Any]  # run.json
    where: str | None
    weighted: bool
    breakdowns: tuple[str, ...]  # columns of the survey that people are divided by
    undivided: tuple[str, ...]  # columns with too many values for that
    people: int  # in the report
    without_weight: int  # assessed, but without a weight in the survey

    def write_query(self, query: str, name: str) -> int:
        """Writes the answer to a CSV file of the report, at once: how many rows it has."""
        file = quote_text(self.folder / REPORT / name)
        row = self.connection.execute(f"COPY ({query}) TO {file} (FORMAT csv, HEADER)").fetchone()
        return int(row[0]) if row is not None else 0

    @property
    def design(self) -> str:
        """The columns of the survey's design, to be selected behind another."""
        return ", weight, stratum, unit" if self.weighted else ""

    @property
    def replayed(self) -> bool:
        return "replay" in self.run

    def list_publications(self, topic: str) -> tuple[str, ...]:
        """Guidelines or definitions of the topic with this id, as "id@version", the first first."""
        return tuple(self.run["knowledge"][topic])

    @property
    def compared(self) -> bool:
        return any(len(publications) > 1 for publications in self.run["knowledge"].values())


@contextmanager
def open_dataset(out: Path, into: Path, where: str | None = None) -> Iterator[RunDataset]:
    """The run in `out`, of those people who meet `where`; what is written goes to `into`.

    Raises ReportError.
    """
    dataset = _read_run(out)
    with TemporaryDirectory(prefix="cobalamin-report-") as temporary:
        folder = Path(temporary)
        with duckdb.connect(folder / "report.duckdb") as connection:
            limit_connection(connection, folder, MEMORY_LIMIT)
            # To the engine a name may be a pattern of names, so it is given names of our own; and
            # a condition that somebody gives may name no other file.
            (folder / RUN).symlink_to(out.resolve())
            (folder / REPORT).symlink_to(into.resolve())
            allowed = ", ".join(map(quote_text, (folder, out.resolve(), into.resolve())))
            connection.execute(f"SET allowed_directories = [{allowed}]")
            connection.execute("SET enable_external_access = false")
            try:
                yield _create_tables(connection, folder, dataset, where)
            except duckdb.OutOfMemoryException:
                raise ReportError(f"{out}: no room left on the disk of {folder}") from None


def _read_run(out: Path) -> Mapping[str, Any]:
    try:
        dataset = orjson.loads((out / "run.json").read_bytes())
    except FileNotFoundError:
        raise ReportError(f"{out}: holds no finished run (no run.json)") from None
    except (OSError, orjson.JSONDecodeError) as error:
        raise ReportError(f"{out}/run.json: {error}") from None
    required = {"version", "finished", "knowledge", "counts", "inputs", "engine"}
    if (
        not isinstance(dataset, dict)
        or not required <= dataset.keys()
        or not {"asOf", "replay"} & dataset.keys()
    ):
        raise ReportError(f"{out}/run.json: is none of a population run")
    return dataset


def _create_tables(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    dataset: Mapping[str, Any],
    where: str | None,
) -> RunDataset:
    out = folder / RUN
    if not any((out / "assessments").glob("*.parquet")):
        raise ReportError("nobody was assessed in this run")
    connection.execute(f"CREATE VIEW complaint AS SELECT * FROM {_read_complaints(out)}")
    connection.execute(f"CREATE VIEW written AS SELECT * FROM {_read_files(out, 'assessments')}")
    survey = (
        read_survey(connection, out / SURVEY_FILE) if (out / SURVEY_FILE).exists() else NO_SURVEY
    )
    weighted = survey.weighted
    left_out = create_people(connection, where, survey)
    restricted = weighted or where is not None
    for name, written in (("card", "cards"), ("call", "calls")):
        if any((out / written).glob("*.parquet")):
            of = "WHERE patient IN (SELECT patient FROM person)" if restricted else ""
            kind = "TABLE" if restricted else "VIEW"
            connection.execute(
                f"CREATE {kind} {name} AS SELECT * FROM {_read_files(out, written)} {of}"
            )
        else:  # a run that had nothing to write in a table has no file of it
            columns = ", ".join(f'"{column}" {kind}' for column, kind in TABLES[written].items())
            connection.execute(f"CREATE TABLE {name} ({columns})")
    people = fetch_number(connection, "SELECT count(*) FROM person")
    if not people:
        raise ReportError(
            f"nobody meets the condition {where!r}"
            if where is not None
            else "nobody who was assessed is in the survey"
        )
    by_count = {name: _count_values(connection, name) <= MAX_VALUES for name in survey.further}
    return RunDataset(
        connection,
        folder,
        dataset,
        where,
        weighted,
        tuple(name for name, fits in by_count.items() if fits),
        tuple(name for name, fits in by_count.items() if not fits),
        people,
        left_out,
    )


def _read_files(out: Path, table: str) -> str:
    return f"read_parquet({quote_text(out / table / '*.parquet')})"


def _read_complaints(out: Path) -> str:
    if not (out / "complaints.csv").exists():
        return "(SELECT '' AS file, 0 AS line, '' AS reason, 0 AS \"count\" WHERE false)"
    columns = "{'file': 'VARCHAR', 'line': 'BIGINT', 'reason': 'VARCHAR', 'count': 'BIGINT'}"
    file = quote_text(out / "complaints.csv")
    return (
        f"read_csv({file}, columns = {columns}, auto_detect = false, header = true, quote = '\"')"
    )


def _count_values(connection: duckdb.DuckDBPyConnection, column: str) -> int:
    return fetch_number(
        connection, f"SELECT approx_count_distinct({quote_identifier(column)}) FROM person"
    )
