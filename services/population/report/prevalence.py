"""Who has what: each axis by age, sex, guideline and whatever else the survey divides people by."""

from collections.abc import Iterator

from services.population.report import categories, labels
from services.population.report.dataset import Gathered
from services.population.report.table import Table, of_shares
from services.reports.duckdb_tools import identifier

GRID = "share %"
FIRST_B12 = "(SELECT b12_guideline FROM person LIMIT 1)"
FIRST_MUSCLE = "(SELECT muscle_definition FROM person LIMIT 1)"
ALL_PARTS = "Percent of each column. The CSV has the counts and the 95 % intervals."


def tables(run: Gathered) -> Iterator[Table]:
    yield from _axis(run, "b12", "Vitamin B12")
    yield from _axis(run, "muscle", "Muscle")
    yield from _found_by_age(run)
    yield of_shares(
        run,
        "indicator",
        "Combined indicator of B12 status",
        "Where enough markers were measured to compute it. It moves no category.",
        column="indicator_class",
        among="indicator_class IS NOT NULL",
        called="class",
    )
    yield _muscle_findings(run)


def _axis(run: Gathered, axis: str, title: str) -> Iterator[Table]:
    column = f"{axis}_category"
    order = categories.in_order(labels.B12 if axis == "b12" else labels.MUSCLE, "category")
    measured = categories.TESTED if axis == "b12" else categories.MEASURED
    what = (
        "a B12 result that is recent enough to judge by"
        if axis == "b12"
        else "a recent result of strength, mass or performance"
    )
    yield of_shares(
        run,
        column,
        f"{title}: everybody",
        "Each person is in one category. To have no result is not to have a normal one.",
        column=column,
        order=order,
    )
    yield of_shares(
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
    groups |= {identifier(name): identifier(name) for name in run.breakdowns}
    for group, expression in groups.items():
        name = group.strip('"')
        yield of_shares(
            run,
            f"{column}_by_{name}",
            f"{title} by {name.replace('_', ' ').replace('age band', 'age')}",
            ALL_PARTS,
            column=column,
            groups={group: f"coalesce({expression}, 'not known')"},
            order=order,
            across=("category", name, GRID),
            long=True,
        )
    if run.compared:
        yield _by_guideline(run, axis, title, order)


def _by_guideline(run: Gathered, axis: str, title: str, order: str) -> Table:
    own, first = (
        ("b12_guideline", FIRST_B12) if axis == "b12" else ("muscle_definition", FIRST_MUSCLE)
    )
    column = "b12_category" if axis == "b12" else categories.grade("muscle_category")
    return of_shares(
        run,
        f"{axis}_category_by_guideline",
        f"{title} by {'guideline' if axis == 'b12' else 'definition'}",
        f"The same people by each. {ALL_PARTS}",
        column=column,
        source="judged",
        among=f"(primary_pair OR {own} <> {first})",
        groups={"guideline": own},
        called="grade",
        order=order.replace("category)", "grade)"),
        across=("grade", "guideline", GRID),
        long=True,
    )


def _found_by_age(run: Gathered) -> Iterator[Table]:
    """One question for each axis, by age and sex, with its interval: for the drawings."""
    for axis, title, found, measured in (
        (
            "b12",
            "B12 deficient, of either kind",
            categories.is_deficient("b12_category"),
            categories.TESTED,
        ),
        (
            "muscle",
            "Probable or possible sarcopenia, or worse",
            categories.is_positive("muscle_category"),
            categories.MEASURED,
        ),
    ):
        yield of_shares(
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


def _muscle_findings(run: Gathered) -> Table:
    findings = "['strength', 'mass', 'performance']"
    return of_shares(
        run,
        "muscle_findings",
        "Strength, mass and performance",
        "Of people in whom each is known, by each definition.",
        column="level",
        source=f"""(SELECT patient{run.design}, muscle_definition, primary_pair, b12_guideline,
                unnest({findings}) AS finding, unnest([strength, mass, performance]) AS level
            FROM judged)""",
        among=f"level <> 'unknown' AND (primary_pair OR muscle_definition <> {FIRST_MUSCLE})",
        groups={"definition": "muscle_definition", "finding": "finding"},
        called="level",
    )
