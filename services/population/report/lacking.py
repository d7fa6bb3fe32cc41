"""What the records lack, and what of them cannot be used."""

from collections.abc import Iterator

from services.population.quoting import quoted
from services.population.report.gathered import Gathered
from services.population.report.prevalence import GRID
from services.population.report.table import Table, of_shares
from services.report.figure import Figure


def tables(run: Gathered) -> Iterator[Table]:
    yield of_shares(
        run,
        "missing",
        "What is missing most",
        "People without a usable result of any age. Not measured is not normal.",
        column="missing",
        called="missing",
        several=True,
    )
    for axis, title in (("b12", "B12 category"), ("muscle", "muscle category")):
        yield of_shares(
            run,
            f"missing_by_{axis}",
            f"What is missing, by {title}",
            f"Percent of the people in each {title}.",
            column="missing",
            called="missing",
            several=True,
            groups={f"{axis}_category": f"{axis}_category"},
            across=("missing", f"{axis}_category", GRID),
            long=True,
        )
    yield of_shares(
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
            f"({quoted(kind)}, {int(number)})" for kind, number in sorted(resources.items())
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
