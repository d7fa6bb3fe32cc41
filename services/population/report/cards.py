"""What the service would have shown: how often, to whom, and what it would have kept back."""

from collections.abc import Iterator

from services.population.report import categories
from services.population.report.dataset import RunDataset
from services.population.report.table import Table, build_share_query
from services.reports.figures import Figure

VISIT_COUNT = '(SELECT count(DISTINCT encounter) FROM "call")'
PERSON_COUNT = "(SELECT count(*) FROM person)"
CARDS_IN_VISITS = "sum(shown) FILTER (encounter IS NOT NULL)"
CLINICIAN_DAY = 'practitioner, "at"::DATE'
INDICATOR_ORDER = categories.build_order(categories.INDICATORS, "indicator")


def build_tables(run: RunDataset) -> Iterator[Table]:
    if run.replayed:
        yield _build_visits()
        yield _build_clinician_days()
        yield _build_weeks()
    yield _build_cards(run)
    yield _build_card_patients(run)
    yield _build_worst_cards(run)
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


def _build_cards(run: RunDataset) -> Table:
    basis, unit = (VISIT_COUNT, "visits") if run.replayed else (PERSON_COUNT, "patients")
    says = (
        "Cards of calls without a visit are counted too."
        if run.replayed
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


def _build_card_patients(run: RunDataset) -> Table:
    """People with at least one card of a topic."""
    return Table(
        Figure(
            "card_patients",
            "On how many people",
            "People with at least one card of the topic.",
            _build_card_shares(run, "topic", "DISTINCT patient, topic"),
            long=True,
        ),
    )


def _build_worst_cards(run: RunDataset) -> Table:
    worst = (
        f"patient, {categories.build_list(categories.INDICATORS)}[min(list_position("
        f"{categories.build_list(categories.INDICATORS)}, indicator))] AS indicator"
    )
    return Table(
        Figure(
            "worst_card",
            "The gravest card of each person",
            "People by the indicator of the gravest card they would have; the others have none.",
            _build_card_shares(run, "indicator", worst, grouped="GROUP BY patient"),
        ),
    )


def _build_card_shares(run: RunDataset, name: str, selected: str, grouped: str = "") -> str:
    join = "JOIN person USING (patient)" if run.weighted else ""
    return build_share_query(
        f"SELECT patient{run.design} FROM person",
        f"""SELECT patient{run.design}, {name}
            FROM (SELECT {selected} FROM card WHERE shown {grouped}) {join}""",
        [],
        [name],
        weighted=run.weighted,
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
