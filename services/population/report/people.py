"""Who a report is about: those who were assessed, with their weights, and meet the condition."""

import duckdb

from services.population.report.quoting import identifier, one
from services.population.report.refused import ReportRefused
from services.report.figure import printable

DESIGN = ("weight", "stratum", "unit")
BANDS = (
    "CASE WHEN age < 20 THEN '0 to 19' WHEN age >= 90 THEN '90 and over' "
    "WHEN age IS NULL THEN 'not known' "
    "ELSE format('{0} to {1}', age // 10 * 10, age // 10 * 10 + 9) END"
)


def read_survey(connection: duckdb.DuckDBPyConnection, file: str) -> list[str]:
    """The weights, and the further columns of the file, by which people may be chosen and divided.

    A column that assessments have as well is not taken from the survey.
    """
    described = connection.execute(f"DESCRIBE SELECT * FROM {file}").fetchall()
    columns = [name for name, *_ in described]
    if not {"patient", "weight"} <= set(columns):
        raise ReportRefused("survey.parquet has no columns patient and weight")
    # Without strata everybody is in one, without units each is one.
    stratum = "coalesce(stratum, '')" if "stratum" in columns else "''"
    unit = "coalesce(unit, patient)" if "unit" in columns else "patient"
    further = [name for name in columns if name not in ("patient", *DESIGN)]
    named = "".join(f", {identifier(name)}" for name in further)
    connection.execute(
        f"""CREATE TABLE survey AS
            SELECT patient, weight, {stratum} AS stratum, {unit} AS unit{named}
            FROM {file} WHERE weight > 0"""
    )
    if one(connection, "SELECT count(*) - count(DISTINCT patient) FROM survey"):
        raise ReportRefused("survey.parquet names a patient twice")
    return further


def find_people(
    connection: duckdb.DuckDBPyConnection,
    where: str | None,
    *,
    weighted: bool,
    further: list[str],
) -> int:
    """Makes person and judged; how many assessed people have no weight."""
    named = "".join(f", survey.{identifier(name)}" for name in further)
    design = f", weight, stratum, unit{named}" if weighted else ""
    join = "JOIN survey USING (patient)" if weighted else ""
    source = f"(SELECT written.*{design} FROM written {join} WHERE primary_pair)"
    condition = "" if where is None else f"WHERE ({_checked(connection, source, where)})"
    restricted = weighted or where is not None
    connection.execute(
        f"""CREATE {"TABLE" if restricted else "VIEW"} person AS
            SELECT * REPLACE (coalesce(sex, 'not known') AS sex), {BANDS} AS age_band
            FROM {source} {condition}"""
    )
    added = "SELECT written.*" + (
        ", person.weight, person.stratum, person.unit" if weighted else ""
    )
    connection.execute(
        f"CREATE VIEW judged AS {added} FROM written JOIN person USING (patient)"
        if restricted
        else "CREATE VIEW judged AS SELECT * FROM written"
    )
    if not weighted:
        return 0
    return one(
        connection,
        "SELECT count(*) FROM written ANTI JOIN survey USING (patient) WHERE primary_pair",
    )


def _checked(connection: duckdb.DuckDBPyConnection, source: str, where: str) -> str:
    """`where`, once it is known to be one condition on columns that there are."""
    try:
        condition = str(duckdb.SQLExpression(where))
        connection.execute(f"SELECT count(*) FROM {source} WHERE ({condition})")
    except duckdb.Error as fault:
        described = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        names = ", ".join(name for name, kind, *_ in described if not kind.endswith("[]"))
        raise ReportRefused(
            f"the condition {where!r} cannot be used: {_first_line(fault)}\n"
            f"It may name these columns: {names}"
        ) from None
    return condition


def _first_line(fault: duckdb.Error) -> str:
    return str(printable(str(fault).splitlines()[0]))
