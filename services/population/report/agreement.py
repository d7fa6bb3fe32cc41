"""How far guidelines agree about the same people, and who changes from one to another."""

from collections.abc import Iterator

import duckdb

from services.population.report import categories
from services.population.report.dataset import RunDataset
from services.population.report.table import Table
from services.reports.duckdb_tools import quote_text
from services.reports.figures import Figure

PAIR_COLUMNS = ("axis", "other")
DEFICIENCY = "deficient, of either kind"  # the first question of each axis
WEAKNESS = "probable or possible sarcopenia, or worse"


def create_pair_table(dataset: RunDataset) -> None:
    """Makes the table that the figures of this module are queries of: everybody by the first pair
    and by each other, of which one axis differs from the first."""
    design = ", first.weight" if dataset.weighted else ""
    differs = '"first grade" <> "other grade"'
    dataset.connection.execute(
        f"""CREATE TABLE pair AS
            SELECT first.patient{design},
                CASE WHEN judged.b12_guideline <> first.b12_guideline THEN 'b12' ELSE 'muscle' END
                    AS axis,
                CASE axis WHEN 'b12' THEN judged.b12_guideline ELSE judged.muscle_definition END
                    AS other,
                CASE axis WHEN 'b12' THEN first.b12_category ELSE first.muscle_category END
                    AS "first says",
                CASE axis WHEN 'b12' THEN judged.b12_category ELSE judged.muscle_category END
                    AS "other says",
                {categories.build_grade('"first says"')} AS "first grade",
                {categories.build_grade('"other says"')} AS "other grade",
                first.tier AS "first tier", judged.tier AS "other tier",
                CASE WHEN {differs} THEN CASE axis WHEN 'b12' THEN first.b12_evidence
                    ELSE first.muscle_evidence END END AS "first saw",
                CASE WHEN {differs} THEN CASE axis WHEN 'b12' THEN judged.b12_evidence
                    ELSE judged.muscle_evidence END END AS "other saw"
            FROM judged JOIN person AS first USING (patient) WHERE NOT judged.primary_pair"""
    )


def build_tables(dataset: RunDataset) -> Iterator[Table]:
    yield Table(_build_agreement(dataset), counts=("patients", "alike"))
    for axis, other in _list_others(dataset.connection):
        yield _build_confusion(axis, other)
    yield _build_changes()
    yield _build_limit_cases()


def _list_others(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str]]:
    return connection.execute("SELECT DISTINCT axis, other FROM pair ORDER BY ALL").fetchall()


def _build_agreement(dataset: RunDataset) -> Figure:
    """Cohen's kappa: agreement beyond what the frequencies alone would give."""
    weight = "fsum(weight)" if dataset.weighted else "count(*)"
    weighted = " People count by their weights." if dataset.weighted else ""
    questions = {
        "b12": {
            DEFICIENCY: tuple(map(categories.is_deficient, ('"first says"', '"other says"'))),
            "the same category": ('"first says"', '"other says"'),
            "the same tier": ('"first tier"', '"other tier"'),
        },
        "muscle": {
            WEAKNESS: tuple(map(categories.is_positive, ('"first says"', '"other says"'))),
            "sarcopenia, or worse": tuple(
                map(categories.is_confirmed, ('"first says"', '"other says"'))
            ),
            "the same grade": ('"first grade"', '"other grade"'),
            "the same tier": ('"first tier"', '"other tier"'),
        },
    }
    question_lists = {
        axis: ", ".join(
            f"{{question: {quote_text(name)}, a: ({a})::VARCHAR, b: ({b})::VARCHAR}}"
            for name, (a, b) in pairs.items()
        )
        for axis, pairs in questions.items()
    }
    return Figure(
        "agreement",
        "Agreement",
        "Of people about whom at least one of both reaches a verdict. Kappa is 1 where both always "
        f"agree and 0 where they agree as often as chance would have it.{weighted}",
        f"""
        WITH asked AS (
                SELECT axis, other, unnest(CASE axis WHEN 'b12' THEN [{question_lists["b12"]}]
                    ELSE [{question_lists["muscle"]}] END) AS q{", weight" if dataset.weighted else ""}
                FROM pair
                WHERE {categories.has_verdict('"first says"')}
                    OR {categories.has_verdict('"other says"')}),
            cell AS (
                SELECT axis, other, q.question AS question, q.a AS a, q.b AS b, count(*) AS n,
                    {weight}::DOUBLE AS w
                FROM asked GROUP BY ALL),
            whole AS (
                SELECT axis, other, question, sum(n)::BIGINT AS patients, fsum(w) AS total,
                    coalesce(sum(n) FILTER (a = b), 0)::BIGINT AS alike,
                    coalesce(fsum(w) FILTER (a = b), 0) / fsum(w) AS agreed
                FROM cell GROUP BY ALL),
            chance AS (
                SELECT axis, other, question, fsum(one.w * two.w) AS product
                FROM (SELECT axis, other, question, a AS says, fsum(w) AS w FROM cell GROUP BY ALL)
                    AS one
                JOIN (SELECT axis, other, question, b AS says, fsum(w) AS w FROM cell GROUP BY ALL)
                    AS two USING (axis, other, question, says)
                GROUP BY ALL)
        SELECT axis, other, question, patients, alike, round(1e2 * agreed, 2) AS "alike %",
            round((agreed - coalesce(product, 0) / total ** 2)
                / nullif(1 - coalesce(product, 0) / total ** 2, 0), 3) AS kappa
        FROM whole LEFT JOIN chance USING (axis, other, question)
        ORDER BY axis, other, question""",
    )


def _build_confusion(axis: str, other: str) -> Table:
    order = categories.B12_ORDER if axis == "b12" else categories.MUSCLE_ORDER
    return Table(
        Figure(
            f"confusion_{axis}_{other.replace('+', '-')}",
            f"What {other} says, beside the first",
            f"People by what the first {'guideline' if axis == 'b12' else 'definition'} says "
            f"(down) and what {other} says (across). Outlined: both say the same.",
            f"""SELECT "first says", "other says", count(*) AS patients
                FROM pair WHERE axis = {quote_text(axis)} AND other = {quote_text(other)}
                GROUP BY "first says", "other says"
                ORDER BY {categories.build_order(order, '"first says"')},
                    {categories.build_order(order, '"other says"')}""",
        ),
        across=("first says", "other says", "patients"),
    )


def _build_changes() -> Table:
    return Table(
        Figure(
            "changed",
            "Who changes",
            "People whose grade is another by the other guideline.",
            """SELECT axis, other, "first says", "other says", patients, "of",
                   round(1e2 * patients / "of", 2) AS "share %"
               FROM (SELECT axis, other, "first says", "other says", count(*) AS patients
                     FROM pair WHERE "first grade" <> "other grade" GROUP BY ALL)
               JOIN (SELECT axis, other, count(*) AS "of" FROM pair GROUP BY ALL)
                   USING (axis, other)
               ORDER BY axis, other, patients DESC, "first says", "other says\"""",
        ),
        within=PAIR_COLUMNS,
    )


def _build_limit_cases() -> Table:
    """The results that both looked at and judged by another limit, of people who change."""
    return Table(
        Figure(
            "at_the_limits",
            "People at the limits",
            "People whose grade changes, with the result that both guidelines read by another "
            "limit; without a result where it is not a limit that makes the difference.",
            """SELECT patient, coalesce(e.says, '') AS result, e.value AS "value",
                   coalesce(e.unit, '') AS unit, coalesce(e."limit", '') AS "limit",
                   coalesce(e.beside, '') AS "other limit", other, "first says", "other says", axis
               FROM (SELECT *, unnest(CASE WHEN len(apart) > 0 THEN apart ELSE [NULL] END) AS e
                     FROM (SELECT *, list_filter(list_transform("first saw", lambda f:
                               struct_insert(f, beside := list_filter("other saw", lambda o:
                                   o."rule" = f."rule" AND o.value = f.value
                                   AND o.unit IS NOT DISTINCT FROM f.unit
                                   AND o."limit" <> f."limit")[1]."limit")),
                               lambda f: f.beside IS NOT NULL) AS apart
                           FROM pair WHERE "first grade" <> "other grade"))
               ORDER BY axis, other, "first says", "other says", unit, "value", patient, result,
                   "limit\"""",
        ),
        counts=(),
        listing=True,
    )
