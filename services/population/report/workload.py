"""Workload of a population run: cards, next steps, tiers, and the patients to review."""

from collections.abc import Iterator

from services.population.report import categories
from services.population.report.dataset import RunDataset
from services.population.report.table import Table, build_share_query, build_share_table
from services.reports.figures import Figure

VISIT_COUNT = '(SELECT count(DISTINCT encounter) FROM "call")'
PERSON_COUNT = "(SELECT count(*) FROM person)"
CARDS_IN_VISITS = "sum(shown) FILTER (encounter IS NOT NULL)"
CLINICIAN_DAY = 'practitioner, "at"::DATE'
INDICATOR_ORDER = categories.build_order(categories.INDICATORS, "indicator")


def build_tables(dataset: RunDataset) -> Iterator[Table]:
    yield build_share_table(
        dataset,
        "urgency",
        "How soon",
        "By when somebody should act on vitamin B12.",
        column="b12_urgency",
        value_name="urgency",
        order=categories.build_order(categories.URGENCIES, "urgency"),
    )
    yield build_share_table(
        dataset,
        "tier",
        "Tiers of attention",
        "Both axes together: an order in which to look, never a score.",
        column="tier",
        value_name="tier",
        order="tier",
    )
    yield _build_joint_table(dataset)
    for prefix, topic in categories.TOPICS.items():
        yield build_share_table(
            dataset,
            f"{prefix}_next_steps",
            f"What would be advised: {topic.name}",
            "How many people each step would be advised for; one person may need several.",
            column=f"{prefix}_next_steps",
            value_name="step",
            is_list=True,
        )
        yield build_share_table(
            dataset,
            f"{prefix}_flags",
            f"What would be pointed out: {topic.name}",
            "Cautions that go with the assessment.",
            column=f"{prefix}_flags",
            value_name="flag",
            is_list=True,
        )
    yield build_share_table(
        dataset,
        "differential",
        "What else may be behind weak muscle",
        "Causes that something on record points to: reasons to look, no diagnoses.",
        column="differential",
        value_name="cause",
        is_list=True,
    )


def _build_joint_table(dataset: RunDataset) -> Table:
    source = f"SELECT patient{dataset.design}"
    query = build_share_query(
        f"{source} FROM person",
        f"{source}, b12_category, muscle_category FROM person",
        [],
        ["b12_category", "muscle_category"],
        weighted=dataset.weighted,
        order=", ".join(
            categories.build_order(topic.order, f"{prefix}_category")
            for prefix, topic in categories.TOPICS.items()
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


def build_review_table(dataset: RunDataset) -> Table:
    """Everybody with a card, then everybody whom guidelines see differently."""
    changes = (
        """(SELECT patient, string_agg(DISTINCT other, ', ' ORDER BY other) AS changes
            FROM pair WHERE "first grade" <> "other grade" GROUP BY patient)"""
        if dataset.compared
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


def build_card_tables(dataset: RunDataset) -> Iterator[Table]:
    if dataset.replayed:
        yield _build_visits()
        yield _build_clinician_days()
        yield _build_weeks()
    yield _build_cards(dataset)
    yield _build_card_patients(dataset)
    yield _build_worst_cards(dataset)
    yield _build_withheld()


def _build_rate(part: str, whole: str) -> str:
    return f"round(1e2 * {part} / nullif({whole}, 0), 2)"


def _build_visits() -> Table:
    return Table(
        Figure(
            "visits",
            "How often somebody would have been interrupted",
            "By hook. A visit is one encounter, with all calls that name it.",
            f"""SELECT coalesce(hook, 'all') AS hook, count(*) AS calls,
                    count(*) FILTER (shown > 0) AS "calls with a card",
                    {_build_rate("count(*) FILTER (shown > 0)", "count(*)")} AS "calls with a card %",
                    sum(shown)::BIGINT AS cards,
                    {_build_rate("sum(shown)", "count(*)")} AS "cards per 100 calls",
                    count(DISTINCT encounter) AS visits,
                    {_build_rate(CARDS_IN_VISITS, "count(DISTINCT encounter)")} AS "cards per 100 visits"
                FROM "call" GROUP BY GROUPING SETS ((hook), ()) ORDER BY hook = 'all', hook""",
        ),
        counts=("calls with a card", "cards"),
    )


def _build_clinician_days() -> Table:
    return Table(
        Figure(
            "clinician_days",
            "For each clinician and day",
            "Days (UTC) on which a clinician would have been called for at least one patient; "
            "calls that name no clinician are left out.",
            f"""SELECT count(DISTINCT practitioner) AS clinicians, count(*) AS "clinician-days",
                    round(avg(calls), 2) AS "calls a day", round(avg(cards), 2) AS "cards a day",
                    {_build_rate("count(*) FILTER (cards > 0)", "count(*)")} AS "days with a card %",
                    quantile_disc(cards, 0.5)::BIGINT AS "median of cards",
                    quantile_disc(cards, 0.9)::BIGINT AS "90 % have at most",
                    max(cards)::BIGINT AS "most on a day"
                FROM (SELECT {CLINICIAN_DAY} AS day, count(*) AS calls, sum(shown) AS cards
                      FROM "call" WHERE practitioner IS NOT NULL GROUP BY ALL)""",
        ),
        counts=("clinicians", "clinician-days"),
    )


def _build_weeks() -> Table:
    return Table(
        Figure(
            "cards_by_week",
            "Week by week",
            "Cards for each 100 calls of the week, by indicator. Memory begins empty: the first "
            "weeks of a service have more cards than the later ones.",
            f"""SELECT week, indicator, count(*) AS cards, any_value(calls) AS calls,
                    {_build_rate("count(*)", "any_value(calls)")} AS "per 100 calls"
                FROM (SELECT date_trunc('week', "at")::DATE AS week, indicator
                      FROM card WHERE shown)
                JOIN (SELECT date_trunc('week', "at")::DATE AS week, count(*) AS calls
                      FROM "call" GROUP BY week) USING (week)
                GROUP BY week, indicator ORDER BY week, {INDICATOR_ORDER}""",
            long=True,
        ),
        counts=("cards",),
    )


def _build_cards(dataset: RunDataset) -> Table:
    basis, unit = (VISIT_COUNT, "visits") if dataset.replayed else (PERSON_COUNT, "patients")
    says = (
        "Cards of calls without a visit are counted too."
        if dataset.replayed
        else "What would be shown to somebody who opened every chart on one day, once, with "
        "nothing remembered. It is no rate of interruption: nobody opens every chart, and some are "
        "opened often. For that, replay a period."
    )
    return Table(
        Figure(
            "cards",
            "Which cards would be shown",
            f"By topic and indicator. {says}",
            f"""SELECT topic, indicator, count(*) AS cards, count(DISTINCT patient) AS patients,
                    {_build_rate("count(*)", basis)} AS "per 100 {unit}"
                FROM card WHERE shown GROUP BY topic, indicator
                ORDER BY cards DESC, topic, indicator""",
        ),
        counts=("cards", "patients"),
    )


def _build_card_patients(dataset: RunDataset) -> Table:
    """People with at least one card of a topic."""
    return Table(
        Figure(
            "card_patients",
            "On how many people",
            "People with at least one card of the topic.",
            _build_card_shares(dataset, "topic", "DISTINCT patient, topic"),
            long=True,
        ),
    )


def _build_worst_cards(dataset: RunDataset) -> Table:
    worst = (
        f"patient, {categories.build_list(categories.INDICATORS)}[min(list_position("
        f"{categories.build_list(categories.INDICATORS)}, indicator))] AS indicator"
    )
    return Table(
        Figure(
            "worst_card",
            "The gravest card of each person",
            "People by the indicator of the gravest card they would have; the others have none.",
            _build_card_shares(dataset, "indicator", worst, grouped="GROUP BY patient"),
        ),
    )


def _build_card_shares(dataset: RunDataset, name: str, selected: str, grouped: str = "") -> str:
    join = "JOIN person USING (patient)" if dataset.weighted else ""
    return build_share_query(
        f"SELECT patient{dataset.design} FROM person",
        f"""SELECT patient{dataset.design}, {name}
            FROM (SELECT {selected} FROM card WHERE shown {grouped}) {join}""",
        [],
        [name],
        weighted=dataset.weighted,
        order=INDICATOR_ORDER if name == "indicator" else "patients DESC",
    )


def _build_withheld() -> Table:
    return Table(
        Figure(
            "withheld",
            "What would have been withheld, and why",
            "Cards that there was reason to show, and reason not to.",
            """SELECT withheld AS reason, topic, count(*) AS cards,
                   count(DISTINCT patient) AS patients
               FROM card WHERE NOT shown GROUP BY ALL ORDER BY cards DESC, reason, topic""",
        ),
        counts=("cards", "patients"),
    )
