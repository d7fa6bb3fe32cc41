"""Whom to look at: people by the hash that the run gave them, the gravest cards first."""

from services.population.report import categories
from services.population.report.gathered import Gathered
from services.population.report.table import Table
from services.report.figure import Figure


def table(run: Gathered) -> Table:
    """Everybody with a card, then everybody whom guidelines see differently."""
    changes = (
        """(SELECT patient, string_agg(DISTINCT other, ', ' ORDER BY other) AS changes
            FROM pair WHERE "first grade" <> "other grade" GROUP BY patient)"""
        if run.compared
        else "(SELECT NULL::VARCHAR AS patient, NULL::VARCHAR AS changes WHERE false)"
    )
    indicators = categories.listed(categories.INDICATORS)
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
            ORDER BY {categories.in_order(categories.INDICATORS, "indicator")} NULLS LAST, tier,
                {categories.in_order(categories.URGENCIES, "b12_urgency")}, patient""",
        ),
        counts=(),
        listing=True,
    )
