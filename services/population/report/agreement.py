"""How far guidelines agree about the same people, and who changes from one to another."""

from collections.abc import Iterator, Mapping

import duckdb

from services.population.report.categories import TOPICS, build_grade, build_order, has_verdict
from services.population.report.dataset import RunDataset
from services.population.report.table import Table
from services.reports.duckdb_tools import quote_text
from services.reports.figures import Figure

PAIR_COLUMNS = ("axis", "other")


def create_pair_table(dataset: RunDataset) -> None:
    """Makes the table that the figures of this module are queries of: everybody by the first pair
    and by each other, of which one axis differs from the first."""
    design = ", first.weight" if dataset.weighted else ""
    differs = '"first grade" <> "other grade"'
    columns = {prefix: topic.publication_column for prefix, topic in TOPICS.items()}
    publications = {prefix: f"judged.{column}" for prefix, column in columns.items()}
    changed = " ".join(
        f"WHEN judged.{column} <> first.{column} THEN {quote_text(prefix)}"
        for prefix, column in columns.items()
    )
    dataset.connection.execute(
        f"""CREATE TABLE pair AS
            SELECT first.patient{design},
                CASE {changed} END AS axis,
                {_choose_by_topic(publications)} AS other,
                {_choose_column("first", "category")} AS "first says",
                {_choose_column("judged", "category")} AS "other says",
                {build_grade('"first says"')} AS "first grade",
                {build_grade('"other says"')} AS "other grade",
                first.tier AS "first tier", judged.tier AS "other tier",
                CASE WHEN {differs} THEN {_choose_column("first", "evidence")} END AS "first saw",
                CASE WHEN {differs} THEN {_choose_column("judged", "evidence")} END AS "other saw"
            FROM judged JOIN person AS first USING (patient) WHERE NOT judged.primary_pair"""
    )


def _choose_by_topic(expressions: Mapping[str, str]) -> str:
    """An expression for each topic, by the column axis of the row."""
    cases = (f"WHEN {quote_text(prefix)} THEN {text}" for prefix, text in expressions.items())
    return f"CASE axis {' '.join(cases)} END"


def _choose_column(table: str, name: str) -> str:
    """The column of the topic that the row is about: judged.b12_category."""
    return _choose_by_topic({prefix: f"{table}.{prefix}_{name}" for prefix in TOPICS})


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
    questions = {prefix: _build_questions(topic.questions) for prefix, topic in TOPICS.items()}
    return Figure(
        "agreement",
        "Agreement",
        "Of people about whom at least one of both reaches a verdict. Kappa is 1 where both always "
        f"agree and 0 where they agree as often as chance would have it.{weighted}",
        f"""
        WITH asked AS (
                SELECT axis, other, unnest({_choose_by_topic(questions)}) AS q{", weight" if dataset.weighted else ""}
                FROM pair
                WHERE {has_verdict('"first says"')}
                    OR {has_verdict('"other says"')}),
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


def _build_questions(questions: Mapping[str, str]) -> str:
    """A list of SQL: each question with the answer of either publication, `a` and `b`."""
    entries = (
        f"{{question: {quote_text(question)}, a: ({answer.format('first')})::VARCHAR, "
        f"b: ({answer.format('other')})::VARCHAR}}"
        for question, answer in questions.items()
    )
    return f"[{', '.join(entries)}]"


def _build_confusion(axis: str, other: str) -> Table:
    topic = TOPICS[axis]
    return Table(
        Figure(
            f"confusion_{axis}_{other.replace('+', '-')}",
            f"What {other} says, beside the first",
            f"People by what the first {topic.publication} says "
            f"(down) and what {other} says (across). Outlined: both say the same.",
            f"""SELECT "first says", "other says", count(*) AS patients
                FROM pair WHERE axis = {quote_text(axis)} AND other = {quote_text(other)}
                GROUP BY "first says", "other says"
                ORDER BY {build_order(topic.order, '"first says"')},
                    {build_order(topic.order, '"other says"')}""",
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
