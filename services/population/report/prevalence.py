"""Who has what: categories by age, sex and guideline, what is missing, and results by limit."""

from collections.abc import Iterator

from services.population.report.categories import (
    MUSCLE,
    TOPICS,
    ReportTopic,
    build_grade,
    build_order,
    is_one_of,
)
from services.population.report.dataset import RunDataset
from services.population.report.table import Table, build_share_query, build_share_table
from services.reports.duckdb_tools import quote_identifier, quote_text
from services.reports.figures import Figure

SHARE_COLUMN = "share %"
GRID_NOTE = "Percent of each column. The CSV has the counts and the 95 % intervals."


def build_tables(dataset: RunDataset) -> Iterator[Table]:
    for topic in TOPICS.values():
        yield from _build_category_tables(dataset, topic)
    for topic in TOPICS.values():
        yield _build_age_table(dataset, topic)
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


def _build_category_tables(dataset: RunDataset, topic: ReportTopic) -> Iterator[Table]:
    column, title = f"{topic.prefix}_category", topic.title
    order = build_order(topic.order, "category")
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
        f"Of people with {topic.result}. Who is tested is not who is not: this is no prevalence "
        "of everybody.",
        column=column,
        among=topic.has_result,
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
        yield _build_guideline_table(dataset, topic, order)


def _build_guideline_table(dataset: RunDataset, topic: ReportTopic, order: str) -> Table:
    column = topic.publication_column
    return build_share_table(
        dataset,
        f"{topic.prefix}_category_by_guideline",
        f"{topic.title} by {topic.publication}",
        f"The same people by each. {GRID_NOTE}",
        column=build_grade(f"{topic.prefix}_category"),
        source="judged",
        among=f"(primary_pair OR {column} <> {topic.first_publication})",
        groups={"guideline": column},
        value_name="grade",
        order=order.replace("category)", "grade)"),
        across=("grade", "guideline", SHARE_COLUMN),
        long=True,
    )


def _build_age_table(dataset: RunDataset, topic: ReportTopic) -> Table:
    """The topic's finding by age and sex, with its interval: for the drawings."""
    is_found = is_one_of(topic.positive, f"{topic.prefix}_category")
    return build_share_table(
        dataset,
        f"{topic.prefix}_found_by_age_and_sex",
        f"{topic.finding}, by age and sex",
        "Of people who were measured; lines are 95 % intervals.",
        column=f"CASE WHEN {is_found} THEN 'found' ELSE 'other' END",
        among=f"{topic.has_result} AND sex <> 'not known' AND age_band <> 'not known'",
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
        among=f"level <> 'unknown' AND (primary_pair OR muscle_definition <> {MUSCLE.first_publication})",
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
    for topic in TOPICS.values():
        category = f"{topic.prefix}_category"
        yield build_share_table(
            dataset,
            f"missing_by_{topic.prefix}",
            f"What is missing, by {topic.short_name} category",
            f"Percent of the people in each {topic.short_name} category.",
            column="missing",
            value_name="missing",
            is_list=True,
            groups={category: category},
            across=("missing", category, SHARE_COLUMN),
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
    for topic in TOPICS.values():
        query = build_share_query(
            _build_results_query(dataset, topic, RULE_MEMBERS),
            _build_results_query(dataset, topic, f"{RULE_MEMBERS}, {LIMIT_MEMBERS}"),
            ["guideline", "rule", "measured_in"],
            ["says", '"limit"'],
            weighted=dataset.weighted,
        )
        yield Table(
            Figure(
                f"{topic.prefix}_limits",
                f"Results by limit: {topic.name}",
                "What a result was compared with, and what was said of it: of people in whom the "
                "rule noted one. Some rules note only what lies beyond a limit.",
                query,
            ),
            within=("guideline", "rule", "measured_in"),
        )


def _build_results_query(dataset: RunDataset, topic: ReportTopic, members: str) -> str:
    """Each kind of valued evidence of each person once."""
    valued = f"list_filter({topic.prefix}_evidence, lambda e: e.value IS NOT NULL)"
    column = topic.publication_column
    return f"""
        SELECT patient{dataset.design}, {column} AS guideline, unnest(kind)
        FROM (SELECT patient{dataset.design}, {column}, unnest(list_distinct(list_transform(
                  {valued}, lambda e: {{{members}}}))) AS kind
              FROM judged WHERE primary_pair OR {column} <> {topic.first_publication})"""
