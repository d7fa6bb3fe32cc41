"""Who a report is about: those who were assessed, with their weights, and meet the condition."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from services.population.quoting import identifier, one, quoted
from services.population.report.refused import ReportRefused
from services.report.figure import printable

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
