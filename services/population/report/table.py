"""Tables of a population report: shares of people with their intervals."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.population.report.dataset import RunDataset
from services.reports.figures import ComputedFigure, Figure

# Wilson 1927, J Am Stat Assoc 22:209-212.
WILSON = """CREATE MACRO wilson(yes, n, side) AS
    100 * (yes + 1.920729 + side * 1.959964 * sqrt(yes * (n - yes)::DOUBLE / n + 0.960365))
        / (n + 3.841459)"""
# Cornish and Fisher's expansion of Student's t for 97.5 %, Abramowitz and Stegun 26.7.5: off by 1 %
# with two degrees of freedom, by 0.1 % with three, and less with more.
STUDENT = """CREATE MACRO student(df) AS CASE WHEN df < 1 THEN NULL WHEN df = 1 THEN 12.7062e0
    ELSE 1.959964e0 + 2.372271e0 / df + 2.822496e0 / df ** 2 + 2.555855e0 / df ** 3
        + 1.589531e0 / df ** 4 END"""
# A stratum with one unit alone says nothing of how units differ, and adds nothing.
DESIGN = """CREATE TABLE design AS
    SELECT stratum, count(DISTINCT unit) AS units FROM survey GROUP BY stratum"""


def list_macros(*, weighted: bool) -> Sequence[str]:
    """Statements to run before any query of `shares`."""
    return (WILSON, STUDENT, DESIGN) if weighted else (WILSON,)


def build_share_query(
    whole: str,
    part: str,
    groups: Sequence[str],
    names: Sequence[str],
    *,
    weighted: bool,
    order: str = "patients DESC",
) -> str:
    """A query of the rows of `part`, counted by `groups` and `names`, as shares of `whole`.

    Both are queries with a row for each patient: `whole` of `groups`, none of them null, `part` of
    `names` as well; and of weight, stratum and unit where `weighted`. Nobody is in one row of the
    answer twice. Columns: groups, names, "patients", "of", "share %", with weights "weighted %",
    and "from %" and "to %", which bound the weighted share where there is one.
    """
    build = _build_weighted_query if weighted else _build_plain_query
    order_columns = ", ".join([*groups, order, *names])
    return f"{build(whole, part, list(groups), list(names))} ORDER BY {order_columns}"


def _build_plain_query(whole: str, part: str, groups: list[str], names: list[str]) -> str:
    both = ", ".join([*groups, *names])
    return f"""
        WITH whole AS (SELECT {_join_columns(groups)} count(*) AS "of" FROM ({whole}) GROUP BY ALL),
            part AS (SELECT {both}, count(*) AS patients FROM ({part}) GROUP BY ALL)
        SELECT {both}, patients, "of", round(1e2 * patients / "of", 4) AS "share %",
            round(greatest(wilson(patients, "of", -1), 0e0), 4) AS "from %",
            round(least(wilson(patients, "of", 1), 1e2), 4) AS "to %"
        FROM part {_build_join("whole", groups)}"""


def _build_weighted_query(whole: str, part: str, groups: list[str], names: list[str]) -> str:
    both = [*groups, *names]
    columns = ", ".join(both)
    unit = ("stratum", "unit")
    return f"""
        WITH whole_unit AS (
                SELECT {_join_columns(groups)} stratum, unit, count(*) AS n, fsum(weight) AS w
                FROM ({whole}) GROUP BY ALL),
            part_unit AS (
                SELECT {columns}, stratum, unit, count(*) AS n, fsum(weight) AS y
                FROM ({part}) GROUP BY ALL),
            whole AS (
                SELECT {_join_columns(groups)} sum(n)::BIGINT AS "of", fsum(w) AS total,
                    count(*) - count(DISTINCT stratum) AS df
                FROM whole_unit GROUP BY ALL),
            part AS (
                SELECT {columns}, sum(n)::BIGINT AS patients, fsum(y) AS yes
                FROM part_unit GROUP BY ALL),
            shared AS (
                SELECT *, yes / total AS p FROM part {_build_join("whole", groups)}),
            away AS (
                SELECT {_qualify_columns("shared", both)}, whole_unit.stratum,
                    (coalesce(y, 0) - p * w) / total AS z
                FROM shared {_build_join("whole_unit", groups)}
                LEFT JOIN part_unit USING ({", ".join([*both, *unit])})),
            strata AS (
                SELECT {columns}, any_value(units) AS units, fsum(z) AS once, fsum(z * z) AS twice
                FROM away JOIN design USING (stratum) GROUP BY {columns}, stratum),
            spread AS (
                SELECT {columns}, sqrt(greatest(fsum(CASE WHEN units > 1
                    THEN units / (units - 1) * (twice - once * once / units)
                    ELSE 0 END), 0e0)) AS error
                FROM strata GROUP BY ALL)
        SELECT {columns}, patients, "of", round(1e2 * patients / "of", 4) AS "share %",
            round(1e2 * p, 4) AS "weighted %",
            round(1e2 * greatest(p - student(df) * error, 0e0), 4) AS "from %",
            round(1e2 * least(p + student(df) * error, 1e0), 4) AS "to %"
        FROM shared JOIN spread USING ({columns})"""


def _join_columns(names: Sequence[str]) -> str:
    return "".join(f"{name}, " for name in names)


def _build_join(table: str, by: Sequence[str]) -> str:
    return f"JOIN {table} USING ({', '.join(by)})" if by else f"CROSS JOIN {table}"


def _qualify_columns(table: str, names: Sequence[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in names)


@dataclass(frozen=True, slots=True)
class Table:
    figure: Figure
    counts: tuple[str, ...] = ("patients",)  # columns that hold how many there are
    within: tuple[str, ...] | None = None  # rows alike in these are the parts of one whole
    across: tuple[str, str, str] | None = None  # down, across and number, where it is a grid
    listing: bool = False  # a row for each patient

    @property
    def name(self) -> str:
        return self.figure.name


@dataclass(frozen=True, slots=True)
class ComputedTable:
    """A table with its rows, or the first of `total`."""

    table: Table
    computed: ComputedFigure
    total: int


def build_share_table(
    dataset: RunDataset,
    name: str,
    title: str,
    says: str,
    *,
    column: str,
    source: str = "person",
    among: str = "true",
    groups: dict[str, str] | None = None,
    value_name: str = "category",
    is_list: bool = False,
    order: str = "patients DESC",
    across: tuple[str, str, str] | None = None,
    long: bool = False,
) -> Table:
    """How many people have each value of `column`, in all or in each group.

    `groups` are expressions by the names of their columns. With `is_list` people may have more than
    one value or none: `column` is a list.
    """
    grouped = groups or {}
    group_columns = "".join(f", {expression} AS {group}" for group, expression in grouped.items())
    value = f"unnest(list_distinct({column}))" if is_list else column
    whole = f"SELECT patient{dataset.design}{group_columns} FROM {source} WHERE {among}"
    part = f"SELECT patient{dataset.design}{group_columns}, {value} AS {value_name} FROM {source} WHERE {among}"
    query = build_share_query(
        whole, part, list(grouped), [value_name], weighted=dataset.weighted, order=order
    )
    figure = Figure(name, title, says, query, long)
    # Values of which people have several do not add up to a whole.
    return Table(figure, within=None if is_list else tuple(grouped), across=across)
