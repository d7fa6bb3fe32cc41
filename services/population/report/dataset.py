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

from services.population.run.rows import TABLES
from services.population.run.survey import SURVEY
from services.reports.duckdb_tools import bounded, identifier, one, quoted
from services.reports.figures import printable


class ReportRefused(Exception):
    """There is nothing to report on, or not as it was asked for: says what and why."""


DESIGN = ("weight", "stratum", "unit")
BANDS = (
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
    parquet = f"read_parquet({quoted(file)})"
    columns = [name for name, _ in _columns(connection, parquet)]
    weighted = "weight" in columns
    own = {name for name, _ in _columns(connection, "written")}
    further = [name for name in columns if name not in {"patient", "age_band", *DESIGN, *own}]
    # Without strata everybody is in one, without units each is one.
    stratum = "coalesce(stratum, '')" if "stratum" in columns else "''"
    unit = "coalesce(unit, patient)" if "unit" in columns else "patient"
    design = f", weight, {stratum} AS stratum, {unit} AS unit" if weighted else ""
    named = "".join(f", {identifier(name)}" for name in further)
    connection.execute(
        f"""CREATE TABLE survey AS SELECT patient{design}{named} FROM {parquet}
            {"WHERE weight > 0" if weighted else ""}"""
    )
    return Survey(weighted, tuple(further))


def find_people(connection: duckdb.DuckDBPyConnection, where: str | None, survey: Survey) -> int:
    """Makes person and judged; how many assessed people have no weight."""
    design = ", weight, stratum, unit" if survey.weighted else ""
    named = "".join(f", survey.{identifier(name)}" for name in survey.further)
    join = "JOIN" if survey.weighted else "LEFT JOIN"
    join = f"{join} survey USING (patient)" if survey != NO_SURVEY else ""
    source = f"(SELECT written.*{design}{named} FROM written {join} WHERE primary_pair)"
    condition = "" if where is None else f"WHERE ({_checked(connection, source, where)})"
    restricted = survey.weighted or where is not None
    connection.execute(
        f"""CREATE {"TABLE" if restricted else "VIEW"} person AS
            SELECT * REPLACE (coalesce(sex, 'not known') AS sex), {BANDS} AS age_band
            FROM {source} {condition}"""
    )
    added = ", person.weight, person.stratum, person.unit" if survey.weighted else ""
    joined = "JOIN person USING (patient)" if restricted else ""
    connection.execute(f"CREATE VIEW judged AS SELECT written.*{added} FROM written {joined}")
    if not survey.weighted:
        return 0
    return one(
        connection,
        "SELECT count(*) FROM written ANTI JOIN survey USING (patient) WHERE primary_pair",
    )


def _columns(connection: duckdb.DuckDBPyConnection, source: str) -> list[tuple[str, str]]:
    described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    return [(name, kind) for name, kind, *_ in described]


def _checked(connection: duckdb.DuckDBPyConnection, source: str, where: str) -> str:
    """`where`, once it is known to be one condition on columns that there are."""
    try:
        condition = str(duckdb.SQLExpression(where))
        connection.execute(f"SELECT count(*) FROM {source} WHERE ({condition})")
    except duckdb.Error as fault:
        names = ", ".join(
            name for name, kind in _columns(connection, source) if not kind.endswith("[]")
        )
        raise ReportRefused(
            f"the condition {where!r} cannot be used: {_first_line(fault)}\n"
            f"It may name these columns: {names}"
        ) from None
    return condition


def _first_line(fault: duckdb.Error) -> str:
    return str(printable(str(fault).splitlines()[0]))


MEMORY = "768MB"
RUN, REPORT = "run", "report"  # what the two folders are called while the engine works
MOST_VALUES = 20  # of a column of the survey that people are divided by


@dataclass(frozen=True, slots=True)
class Gathered:
    """A run, ready to be asked."""

    connection: duckdb.DuckDBPyConnection
    folder: Path  # where the engine works
    run: Mapping[str, Any]  # run.json
    where: str | None
    weighted: bool
    breakdowns: tuple[str, ...]  # columns of the survey that people are divided by
    undivided: tuple[str, ...]  # columns with too many values for that
    people: int  # in the report
    left_out: int  # assessed, but without a weight in the survey

    def written(self, query: str, name: str) -> int:
        """Writes the answer to a CSV file of the report, at once: how many rows it has."""
        file = quoted(self.folder / REPORT / name)
        found = self.connection.execute(f"COPY ({query}) TO {file} (FORMAT csv, HEADER)").fetchone()
        return int(found[0]) if found is not None else 0

    @property
    def design(self) -> str:
        """The columns of the survey's design, to be selected behind another."""
        return ", weight, stratum, unit" if self.weighted else ""

    @property
    def replayed(self) -> bool:
        return "replay" in self.run

    @property
    def b12(self) -> tuple[str, ...]:
        """Guidelines, as "id@version", the first first."""
        return tuple(self.run["knowledge"]["b12"])

    @property
    def muscle(self) -> tuple[str, ...]:
        return tuple(self.run["knowledge"]["sarcopenia"])

    @property
    def compared(self) -> bool:
        return len(self.b12) + len(self.muscle) > 2


@contextmanager
def gathered(out: Path, into: Path, where: str | None = None) -> Iterator[Gathered]:
    """The run in `out`, of those people who meet `where`; what is written goes to `into`.

    Raises ReportRefused.
    """
    run = _run(out)
    with TemporaryDirectory(prefix="cobalamin-report-") as made:
        folder = Path(made)
        with duckdb.connect(folder / "report.duckdb") as connection:
            bounded(connection, folder, MEMORY)
            # To the engine a name may be a pattern of names, so it is given names of our own; and
            # a condition that somebody gives may name no other file.
            (folder / RUN).symlink_to(out.resolve())
            (folder / REPORT).symlink_to(into.resolve())
            allowed = ", ".join(map(quoted, (folder, out.resolve(), into.resolve())))
            connection.execute(f"SET allowed_directories = [{allowed}]")
            connection.execute("SET enable_external_access = false")
            try:
                yield _tables(connection, folder, run, where)
            except duckdb.OutOfMemoryException:
                raise ReportRefused(f"{out}: no room left on the disk of {folder}") from None


def _run(out: Path) -> Mapping[str, Any]:
    try:
        run = orjson.loads((out / "run.json").read_bytes())
    except FileNotFoundError:
        raise ReportRefused(f"{out}: holds no finished run (no run.json)") from None
    except (OSError, orjson.JSONDecodeError) as fault:
        raise ReportRefused(f"{out}/run.json: {fault}") from None
    needed = {"version", "finished", "knowledge", "counts", "inputs", "engine"}
    if not isinstance(run, dict) or not needed <= run.keys() or not {"asOf", "replay"} & run.keys():
        raise ReportRefused(f"{out}/run.json: is none of a population run")
    return run


def _tables(
    connection: duckdb.DuckDBPyConnection, folder: Path, run: Mapping[str, Any], where: str | None
) -> Gathered:
    out = folder / RUN
    if not any((out / "assessments").glob("*.parquet")):
        raise ReportRefused("nobody was assessed in this run")
    connection.execute(f"CREATE VIEW complaint AS SELECT * FROM {_complaints(out)}")
    connection.execute(f"CREATE VIEW written AS SELECT * FROM {_files(out, 'assessments')}")
    survey = read_survey(connection, out / SURVEY) if (out / SURVEY).exists() else NO_SURVEY
    weighted = survey.weighted
    left_out = find_people(connection, where, survey)
    restricted = weighted or where is not None
    for name, written in (("card", "cards"), ("call", "calls")):
        if any((out / written).glob("*.parquet")):
            of = "WHERE patient IN (SELECT patient FROM person)" if restricted else ""
            kind = "TABLE" if restricted else "VIEW"
            connection.execute(f"CREATE {kind} {name} AS SELECT * FROM {_files(out, written)} {of}")
        else:  # a run that had nothing to write in a table has no file of it
            columns = ", ".join(f'"{one}" {kind}' for one, kind in TABLES[written].items())
            connection.execute(f"CREATE TABLE {name} ({columns})")
    people = one(connection, "SELECT count(*) FROM person")
    if not people:
        raise ReportRefused(
            f"nobody meets the condition {where!r}"
            if where is not None
            else "nobody who was assessed is in the survey"
        )
    divided = {name: _values(connection, name) <= MOST_VALUES for name in survey.further}
    return Gathered(
        connection,
        folder,
        run,
        where,
        weighted,
        tuple(name for name, fits in divided.items() if fits),
        tuple(name for name, fits in divided.items() if not fits),
        people,
        left_out,
    )


def _files(out: Path, table: str) -> str:
    return f"read_parquet({quoted(out / table / '*.parquet')})"


def _complaints(out: Path) -> str:
    if not (out / "complaints.csv").exists():
        return "(SELECT '' AS file, 0 AS line, '' AS reason, 0 AS \"count\" WHERE false)"
    columns = "{'file': 'VARCHAR', 'line': 'BIGINT', 'reason': 'VARCHAR', 'count': 'BIGINT'}"
    file = quoted(out / "complaints.csv")
    return (
        f"read_csv({file}, columns = {columns}, auto_detect = false, header = true, quote = '\"')"
    )


def _values(connection: duckdb.DuckDBPyConnection, column: str) -> int:
    return one(connection, f"SELECT approx_count_distinct({identifier(column)}) FROM person")
