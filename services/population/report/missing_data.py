"""Missing and unusable data of a population run, and results by limit."""

from collections.abc import Iterator

from services.population.report.dataset import RunDataset
from services.population.report.prevalence import FIRST_DEFINITION, FIRST_GUIDELINE, SHARE_COLUMN
from services.population.report.table import Table, build_share_query, build_share_table
from services.reports.duckdb_tools import quote_text
from services.reports.figures import Figure


def build_tables(run: RunDataset) -> Iterator[Table]:
    yield build_share_table(
        run,
        "missing",
        "What is missing most",
        "People without a usable result of any age. Not measured is not normal.",
        column="missing",
        called="missing",
        several=True,
    )
    for axis, title in (("b12", "B12 category"), ("muscle", "muscle category")):
        yield build_share_table(
            run,
            f"missing_by_{axis}",
            f"What is missing, by {title}",
            f"Percent of the people in each {title}.",
            column="missing",
            called="missing",
            several=True,
            groups={f"{axis}_category": f"{axis}_category"},
            across=("missing", f"{axis}_category", SHARE_COLUMN),
            long=True,
        )
    yield build_share_table(
        run,
        "unusable",
        "Results that cannot be used",
        "People with at least one, by test and reason.",
        column="unusable",
        called="result",
        several=True,
    )
    yield Table(
        Figure(
            "dropped",
            "Resources that were set aside",
            "They were read, and no rule may use them.",
            """SELECT one.reason AS reason, sum(one.n)::BIGINT AS resources, count(*) AS patients
               FROM (SELECT unnest(dropped) AS one FROM person)
               GROUP BY ALL ORDER BY resources DESC, reason""",
        ),
        counts=("resources", "patients"),
    )
    yield Table(
        Figure(
            "complaints",
            "What of the input could not be read",
            "Lines or resources, by reason, of the whole run. Where each was stands in "
            "complaints.csv.",
            """SELECT reason, sum("count")::BIGINT AS times, count(DISTINCT file) AS files,
                   coalesce(min(file || coalesce(', line ' || line, '')), '') AS "for example"
               FROM complaint GROUP BY reason ORDER BY times DESC, reason""",
        ),
        counts=(),
    )
    resources = run.run["counts"].get("resources", {})
    if resources:
        rows = ", ".join(
            f"({quote_text(kind)}, {int(number)})" for kind, number in sorted(resources.items())
        )
        yield Table(
            Figure(
                "resources",
                "What was read",
                "Resources of the input by type, of the whole run.",
                f"""SELECT type, resources FROM (VALUES {rows}) AS read(type, resources)
                    ORDER BY resources DESC, type""",
            ),
            counts=(),
        )


RULE_MEMBERS = '"rule": e."rule", measured_in: coalesce(e.unit, \'\')'
# What is said of a result stands without the particulars of the person behind it.
LIMIT_MEMBERS = (
    r"""says: regexp_replace(e.says, ' \(.*\)$', ''), "limit": coalesce(e."limit", '')"""
)


def build_limit_tables(run: RunDataset) -> Iterator[Table]:
    for axis, title, own, first in (
        ("b12", "vitamin B12", "b12_guideline", FIRST_GUIDELINE),
        ("muscle", "muscle", "muscle_definition", FIRST_DEFINITION),
    ):
        query = build_share_query(
            _build_results_query(run, axis, own, first, RULE_MEMBERS),
            _build_results_query(run, axis, own, first, f"{RULE_MEMBERS}, {LIMIT_MEMBERS}"),
            ["guideline", "rule", "measured_in"],
            ["says", '"limit"'],
            weighted=run.weighted,
        )
        yield Table(
            Figure(
                f"{axis}_limits",
                f"Results by limit: {title}",
                "What a result was compared with, and what was said of it: of people in whom the "
                "rule noted one. Some rules note only what lies beyond a limit.",
                query,
            ),
            within=("guideline", "rule", "measured_in"),
        )


def _build_results_query(run: RunDataset, axis: str, own: str, first: str, members: str) -> str:
    """Each kind of valued evidence of each person once."""
    valued = f"list_filter({axis}_evidence, lambda e: e.value IS NOT NULL)"
    return f"""
        SELECT patient{run.design}, {own} AS guideline, unnest(kind)
        FROM (SELECT patient{run.design}, {own}, unnest(list_distinct(list_transform(
                  {valued}, lambda e: {{{members}}}))) AS kind
              FROM judged WHERE primary_pair OR {own} <> {first})"""
