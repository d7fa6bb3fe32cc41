"""How much attention people ask for, what would be done for them, and both axes together."""

from collections.abc import Iterator

from services.population.report import categories, words
from services.population.report.gathered import Gathered
from services.population.report.shares import shares
from services.population.report.table import Table, of_shares
from services.report.figure import Figure


def tables(run: Gathered) -> Iterator[Table]:
    yield of_shares(
        run,
        "urgency",
        "How soon",
        "By when somebody should act on vitamin B12.",
        column="b12_urgency",
        called="urgency",
        order=categories.in_order(categories.URGENCIES, "urgency"),
    )
    yield of_shares(
        run,
        "tier",
        "Tiers of attention",
        "Both axes together: an order in which to look, never a score.",
        column="tier",
        called="tier",
        order="tier",
    )
    yield _together(run)
    for axis, title in (("b12", "vitamin B12"), ("muscle", "muscle")):
        yield of_shares(
            run,
            f"{axis}_next_steps",
            f"What would be advised: {title}",
            "How many people each step would be advised for; one person may need several.",
            column=f"{axis}_next_steps",
            called="step",
            several=True,
        )
        yield of_shares(
            run,
            f"{axis}_flags",
            f"What would be pointed out: {title}",
            "Cautions that go with the assessment.",
            column=f"{axis}_flags",
            called="flag",
            several=True,
        )
    yield of_shares(
        run,
        "differential",
        "What else may be behind weak muscle",
        "Causes that something on record points to: reasons to look, no diagnoses.",
        column="differential",
        called="cause",
        several=True,
    )


def _together(run: Gathered) -> Table:
    source = f"SELECT patient{run.design}"
    query = shares(
        f"{source} FROM person",
        f"{source}, b12_category, muscle_category FROM person",
        [],
        ["b12_category", "muscle_category"],
        weighted=run.weighted,
        order=", ".join(
            (
                categories.in_order(words.B12, "b12_category"),
                categories.in_order(words.MUSCLE, "muscle_category"),
            )
        ),
    )
    return Table(
        Figure(
            "together",
            "Both axes together",
            "People by what is said of their vitamin B12 (down) and of their muscle (across). That "
            "two things meet does not mean that one causes the other: the evidence that B12 "
            "deficiency causes sarcopenia is weak.",
            query,
        ),
        across=("b12_category", "muscle_category", "patients"),
    )
