"""The files of a run as tables: every figure is a query of them.

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

from services.population.quoting import identifier, one, quoted
from services.population.report.people import NO_SURVEY, find_people, read_survey
from services.population.report.refused import ReportRefused
from services.population.rows import TABLES
from services.population.survey import SURVEY
from services.report.database import bounded

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
