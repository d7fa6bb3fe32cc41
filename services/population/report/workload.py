"""Workload of a population run: next steps, tiers, and the patients to review."""

from collections.abc import Iterator

from services.population.report import categories
from services.population.report.dataset import RunDataset
from services.population.report.table import Table, build_share_query, build_share_table
from services.reports.figures import Figure


def build_tables(run: RunDataset) -> Iterator[Table]:
    yield build_share_table(
        run,
        "urgency",
        "How soon",
        "By when somebody should act on vitamin B12.",
        column="b12_urgency",
        called="urgency",
        order=categories.build_order(categories.URGENCIES, "urgency"),
    )
    yield build_share_table(
        run,
        "tier",
        "Tiers of attention",
        "Both axes together: an order in which to look, never a score.",
        column="tier",
        called="tier",
        order="tier",
    )
    yield _build_joint_table(run)
    for axis, title in (("b12", "vitamin B12"), ("muscle", "muscle")):
        yield build_share_table(
            run,
            f"{axis}_next_steps",
            f"What would be advised: {title}",
            "How many people each step would be advised for; one person may need several.",
            column=f"{axis}_next_steps",
            called="step",
            several=True,
        )
        yield build_share_table(
            run,
            f"{axis}_flags",
            f"What would be pointed out: {title}",
            "Cautions that go with the assessment.",
            column=f"{axis}_flags",
            called="flag",
            several=True,
        )
    yield build_share_table(
        run,
        "differential",
        "What else may be behind weak muscle",
        "Causes that something on record points to: reasons to look, no diagnoses.",
        column="differential",
        called="cause",
        several=True,
    )


def _build_joint_table(run: RunDataset) -> Table:
    source = f"SELECT patient{run.design}"
    query = build_share_query(
        f"{source} FROM person",
        f"{source}, b12_category, muscle_category FROM person",
        [],
        ["b12_category", "muscle_category"],
        weighted=run.weighted,
        order=", ".join(
            (
                categories.build_order(categories.B12_ORDER, "b12_category"),
                categories.build_order(categories.MUSCLE_ORDER, "muscle_category"),
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


def build_review_table(run: RunDataset) -> Table:
    """Everybody with a card, then everybody whom guidelines see differently."""
    changes = (
        """(SELECT patient, string_agg(DISTINCT other, ', ' ORDER BY other) AS changes
            FROM pair WHERE "first grade" <> "other grade" GROUP BY patient)"""
        if run.compared
        else "(SELECT NULL::VARCHAR AS patient, NULL::VARCHAR AS changes WHERE false)"
    )
    indicators = categories.build_list(categories.INDICATORS)
    return Table(
        Figure(
            "review",
            "Was the card right?",
            "Those with the gravest cards stand first, then those who change between guidelines. "
            "Whoever holds the key of the run can find a person by the hash, of which the page "
            "shows the beginning and the CSV everything.",
            f"""
            WITH carded AS (
                    SELECT patient, {indicators}[min(place)] AS indicator, count(*) AS cards,
                        string_agg(DISTINCT topic, ', ' ORDER BY topic) AS topics,
                        arg_min(summary, (place, "at", topic, summary)) AS summary
                    FROM (SELECT *, list_position({indicators}, indicator) AS place
                          FROM card WHERE shown)
                    GROUP BY patient)
            SELECT patient, coalesce(indicator, '') AS indicator, tier, b12_category, b12_urgency,
                muscle_category, age_band, sex, coalesce(cards, 0) AS cards,
                coalesce(topics, '') AS topics, coalesce(changes, '') AS "changes by",
                coalesce(summary, '') AS summary
            FROM (SELECT * FROM carded FULL JOIN {changes} USING (patient))
            JOIN person USING (patient)
            ORDER BY {categories.build_order(categories.INDICATORS, "indicator")} NULLS LAST, tier,
                {categories.build_order(categories.URGENCIES, "b12_urgency")}, patient""",
        ),
        counts=(),
        listing=True,
    )
