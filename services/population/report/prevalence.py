"""Who has what: categories by age, sex and guideline, what is missing, and results by limit."""

from collections.abc import Iterator

from services.population.report import categories
from services.population.report.dataset import RunDataset
from services.population.report.table import Table, build_share_query, build_share_table
from services.reports.duckdb_tools import quote_identifier, quote_text
from services.reports.figures import Figure

SHARE_COLUMN = "share %"
FIRST_GUIDELINE = "(SELECT b12_guideline FROM person LIMIT 1)"
FIRST_DEFINITION = "(SELECT muscle_definition FROM person LIMIT 1)"
GRID_NOTE = "Percent of each column. The CSV has the counts and the 95 % intervals."


def build_tables(dataset: RunDataset) -> Iterator[Table]:
    yield from _build_axis_tables(dataset, "b12", "Vitamin B12")
    yield from _build_axis_tables(dataset, "muscle", "Muscle")
    yield from _build_age_tables(dataset)
    yield build_share_table(
        dataset,
        "indicator",
        "Combined indicator of B12 status",
        "Where enough markers were measured to compute it. It moves no category.",
        column="indicator_class",
        among="indicator_class IS NOT NULL",
        value_name="class",
    )
    yield _build_finding_table(dataset)


def _build_axis_tables(dataset: RunDataset, axis: str, title: str) -> Iterator[Table]:
    column = f"{axis}_category"
    order = categories.build_order(
        categories.B12_ORDER if axis == "b12" else categories.MUSCLE_ORDER, "category"
    )
    measured = categories.HAS_B12_RESULT if axis == "b12" else categories.HAS_MUSCLE_RESULT
    what = (
        "a B12 result that is recent enough to judge by"
        if axis == "b12"
        else "a recent result of strength, mass or performance"
    )
    yield build_share_table(
        dataset,
        column,
        f"{title}: everybody",
        "Each person is in one category. To have no result is not to have a normal one.",
        column=column,
        order=order,
    )
    yield build_share_table(
        dataset,
        f"{column}_measured",
        f"{title}: those who were measured",
        f"Of people with {what}. Who is tested is not who is not: this is no prevalence "
        "of everybody.",
        column=column,
        among=measured,
        order=order,
    )
    groups = {"age_band": "age_band", "sex": "sex"}
    groups |= {quote_identifier(name): quote_identifier(name) for name in dataset.breakdowns}
    for group, expression in groups.items():
        name = group.strip('"')
        yield build_share_table(
            dataset,
            f"{column}_by_{name}",
            f"{title} by {name.replace('_', ' ').replace('age band', 'age')}",
            GRID_NOTE,
            column=column,
            groups={group: f"coalesce({expression}, 'not known')"},
            order=order,
            across=("category", name, SHARE_COLUMN),
            long=True,
        )
    if dataset.compared:
        yield _build_guideline_table(dataset, axis, title, order)


def _build_guideline_table(dataset: RunDataset, axis: str, title: str, order: str) -> Table:
    own, first = (
        ("b12_guideline", FIRST_GUIDELINE)
        if axis == "b12"
        else ("muscle_definition", FIRST_DEFINITION)
    )
    column = "b12_category" if axis == "b12" else categories.build_grade("muscle_category")
    return build_share_table(
        dataset,
        f"{axis}_category_by_guideline",
        f"{title} by {'guideline' if axis == 'b12' else 'definition'}",
        f"The same people by each. {GRID_NOTE}",
        column=column,
        source="judged",
        among=f"(primary_pair OR {own} <> {first})",
        groups={"guideline": own},
        value_name="grade",
        order=order.replace("category)", "grade)"),
        across=("grade", "guideline", SHARE_COLUMN),
        long=True,
    )


def _build_age_tables(dataset: RunDataset) -> Iterator[Table]:
    """One question for each axis, by age and sex, with its interval: for the drawings."""
    for axis, title, condition, is_measured in (
        (
            "b12",
            "B12 deficient, of either kind",
            categories.is_deficient("b12_category"),
            categories.HAS_B12_RESULT,
        ),
        (
            "muscle",
            "Probable or possible sarcopenia, or worse",
            categories.is_positive("muscle_category"),
            categories.HAS_MUSCLE_RESULT,
        ),
    ):
        yield build_share_table(
            dataset,
            f"{axis}_found_by_age_and_sex",
            f"{title}, by age and sex",
            "Of people who were measured; lines are 95 % intervals.",
            column=f"CASE WHEN {condition} THEN 'found' ELSE 'other' END",
            among=f"{is_measured} AND sex <> 'not known' AND age_band <> 'not known'",
            groups={"sex": "sex", "age_band": "age_band"},
            value_name="finding",
            long=True,
        )


def _build_finding_table(dataset: RunDataset) -> Table:
    findings = "['strength', 'mass', 'performance']"
    return build_share_table(
        dataset,
        "muscle_findings",
        "Strength, mass and performance",
        "Of people in whom each is known, by each definition.",
        column="level",
        source=f"""(SELECT patient{dataset.design}, muscle_definition, primary_pair, b12_guideline,
                unnest({findings}) AS finding, unnest([strength, mass, performance]) AS level
            FROM judged)""",
        among=f"level <> 'unknown' AND (primary_pair OR muscle_definition <> {FIRST_DEFINITION})",
        groups={"definition": "muscle_definition", "finding": "finding"},
        value_name="level",
    )


def build_missing_tables(dataset: RunDataset) -> Iterator[Table]:
    yield build_share_table(
        dataset,
        "missing",
        "What is missing most",
        "People without a usable result of any age. Not measured is not normal.",
        column="missing",
        value_name="missing",
        is_list=True,
    )
    for axis, title in (("b12", "B12 category"), ("muscle", "muscle category")):
        yield build_share_table(
            dataset,
            f"missing_by_{axis}",
            f"What is missing, by {title}",
            f"Percent of the people in each {title}.",
            column="missing",
            value_name="missing",
            is_list=True,
            groups={f"{axis}_category": f"{axis}_category"},
            across=("missing", f"{axis}_category", SHARE_COLUMN),
            long=True,
        )
    yield build_share_table(
        dataset,
        "unusable",
        "Results that cannot be used",
        "People with at least one, by test and reason.",
        column="unusable",
        value_name="result",
        is_list=True,
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
    resources = dataset.run["counts"].get("resources", {})
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


def build_limit_tables(dataset: RunDataset) -> Iterator[Table]:
    for axis, title, own, first in (
        ("b12", "vitamin B12", "b12_guideline", FIRST_GUIDELINE),
        ("muscle", "muscle", "muscle_definition", FIRST_DEFINITION),
    ):
        query = build_share_query(
            _build_results_query(dataset, axis, own, first, RULE_MEMBERS),
            _build_results_query(dataset, axis, own, first, f"{RULE_MEMBERS}, {LIMIT_MEMBERS}"),
            ["guideline", "rule", "measured_in"],
            ["says", '"limit"'],
            weighted=dataset.weighted,
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


def _build_results_query(dataset: RunDataset, axis: str, own: str, first: str, members: str) -> str:
    """Each kind of valued evidence of each person once."""
    valued = f"list_filter({axis}_evidence, lambda e: e.value IS NOT NULL)"
    return f"""
        SELECT patient{dataset.design}, {own} AS guideline, unnest(kind)
        FROM (SELECT patient{dataset.design}, {own}, unnest(list_distinct(list_transform(
                  {valued}, lambda e: {{{members}}}))) AS kind
              FROM judged WHERE primary_pair OR {own} <> {first})"""
