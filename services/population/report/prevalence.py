"""Who has what: each axis by age, sex, guideline and whatever else the survey divides people by."""

from collections.abc import Iterator

from services.population.report import categories
from services.population.report.dataset import RunDataset
from services.population.report.table import Table, build_share_table
from services.reports.duckdb_tools import quote_identifier

SHARE_COLUMN = "share %"
FIRST_GUIDELINE = "(SELECT b12_guideline FROM person LIMIT 1)"
FIRST_DEFINITION = "(SELECT muscle_definition FROM person LIMIT 1)"
GRID_NOTE = "Percent of each column. The CSV has the counts and the 95 % intervals."


def build_tables(run: RunDataset) -> Iterator[Table]:
    yield from _build_axis_tables(run, "b12", "Vitamin B12")
    yield from _build_axis_tables(run, "muscle", "Muscle")
    yield from _build_age_tables(run)
    yield build_share_table(
        run,
        "indicator",
        "Combined indicator of B12 status",
        "Where enough markers were measured to compute it. It moves no category.",
        column="indicator_class",
        among="indicator_class IS NOT NULL",
        called="class",
    )
    yield _build_finding_table(run)


def _build_axis_tables(run: RunDataset, axis: str, title: str) -> Iterator[Table]:
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
        run,
        column,
        f"{title}: everybody",
        "Each person is in one category. To have no result is not to have a normal one.",
        column=column,
        order=order,
    )
    yield build_share_table(
        run,
        f"{column}_measured",
        f"{title}: those who were measured",
        f"Of people with {what}. Who is tested is not who is not: this is no prevalence "
        "of everybody.",
        column=column,
        among=measured,
        order=order,
    )
    groups = {"age_band": "age_band", "sex": "sex"}
    groups |= {quote_identifier(name): quote_identifier(name) for name in run.breakdowns}
    for group, expression in groups.items():
        name = group.strip('"')
        yield build_share_table(
            run,
            f"{column}_by_{name}",
            f"{title} by {name.replace('_', ' ').replace('age band', 'age')}",
            GRID_NOTE,
            column=column,
            groups={group: f"coalesce({expression}, 'not known')"},
            order=order,
            across=("category", name, SHARE_COLUMN),
            long=True,
        )
    if run.compared:
        yield _build_guideline_table(run, axis, title, order)


def _build_guideline_table(run: RunDataset, axis: str, title: str, order: str) -> Table:
    own, first = (
        ("b12_guideline", FIRST_GUIDELINE)
        if axis == "b12"
        else ("muscle_definition", FIRST_DEFINITION)
    )
    column = "b12_category" if axis == "b12" else categories.build_grade("muscle_category")
    return build_share_table(
        run,
        f"{axis}_category_by_guideline",
        f"{title} by {'guideline' if axis == 'b12' else 'definition'}",
        f"The same people by each. {GRID_NOTE}",
        column=column,
        source="judged",
        among=f"(primary_pair OR {own} <> {first})",
        groups={"guideline": own},
        called="grade",
        order=order.replace("category)", "grade)"),
        across=("grade", "guideline", SHARE_COLUMN),
        long=True,
    )


def _build_age_tables(run: RunDataset) -> Iterator[Table]:
    """One question for each axis, by age and sex, with its interval: for the drawings."""
    for axis, title, found, measured in (
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
            run,
            f"{axis}_found_by_age_and_sex",
            f"{title}, by age and sex",
            "Of people who were measured; lines are 95 % intervals.",
            column=f"CASE WHEN {found} THEN 'found' ELSE 'other' END",
            among=f"{measured} AND sex <> 'not known' AND age_band <> 'not known'",
            groups={"sex": "sex", "age_band": "age_band"},
            called="finding",
            long=True,
        )


def _build_finding_table(run: RunDataset) -> Table:
    findings = "['strength', 'mass', 'performance']"
    return build_share_table(
        run,
        "muscle_findings",
        "Strength, mass and performance",
        "Of people in whom each is known, by each definition.",
        column="level",
        source=f"""(SELECT patient{run.design}, muscle_definition, primary_pair, b12_guideline,
                unnest({findings}) AS finding, unnest([strength, mass, performance]) AS level
            FROM judged)""",
        among=f"level <> 'unknown' AND (primary_pair OR muscle_definition <> {FIRST_DEFINITION})",
        groups={"definition": "muscle_definition", "finding": "finding"},
        called="level",
    )
