"""Figures of a report: named SQL queries over the events of the service."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import duckdb


@dataclass(frozen=True, slots=True)
class Figure:
    name: str  # of its CSV file, and its place on the page
    title: str
    says: str
    query: str
    long: bool = False  # for charts and CSV: too many rows for a reader


@dataclass(frozen=True, slots=True)
class ComputedFigure:
    """A figure with its rows."""

    figure: Figure
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]

    def as_dicts(self) -> list[dict[str, Any]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


def compute_figure(connection: duckdb.DuckDBPyConnection, figure: Figure) -> ComputedFigure:
    """`figure` by its query."""
    result = connection.execute(figure.query)
    columns = tuple(column[0] for column in result.description or ())
    return ComputedFigure(
        figure, columns, tuple(tuple(map(make_printable, row)) for row in result.fetchall())
    )


def make_printable(value: Any) -> Any:
    """A text without what would steer a terminal or break a drawing; any other value as it is."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value
    )


def compute_figures(connection: duckdb.DuckDBPyConnection) -> Mapping[str, ComputedFigure]:
    """Every figure, by its name."""
    return {figure.name: compute_figure(connection, figure) for figure in FIGURES}


def _build_latency_query(*groups: str) -> str:
    columns = ", ".join(groups)
    marks = ", ".join(
        f"round(quantile_cont(ms, {mark / 100}), 1) AS p{mark}" for mark in (50, 90, 95, 99)
    )
    return f"""
        SELECT {columns}, count(*) AS calls, {marks}, round(max(ms), 1) AS max
        FROM decision GROUP BY ALL ORDER BY ALL
    """


def _build_share(part: str, whole: str) -> str:
    return f"round(1e2 * {part} / nullif({whole}, 0), 1)"


CALL_COUNT = "(SELECT count(*) FROM decision)"
DAY_COLUMN = "moment::DATE AS day"

FIGURES = (
    Figure(
        "calls",
        "Calls by status",
        "Answers by status: decisions, refusals and failures.",
        """SELECT coalesce(tenant, 'not known') AS tenant,
               coalesce(service, 'not known') AS service, status, count(*) AS calls
           FROM (SELECT tenant, service, status FROM decision
                 UNION ALL SELECT tenant, service, status FROM error WHERE status IS NOT NULL
                 UNION ALL SELECT tenant, NULL, 401 FROM auth_refused)
           GROUP BY ALL ORDER BY ALL""",
    ),
    Figure(
        "latency",
        "How long calls take",
        "Milliseconds of answered calls, by service and tenant.",
        _build_latency_query("service", "tenant"),
    ),
    Figure(
        "latency_by_day",
        "How long calls take, day by day",
        "Milliseconds of answered calls.",
        _build_latency_query(DAY_COLUMN),
    ),
    Figure(
        "latency_by_hour",
        "How long calls take, hour by hour",
        "Milliseconds of answered calls in each hour that had any.",
        _build_latency_query("date_trunc('hour', moment) AS hour"),
        long=True,
    ),
    Figure(
        "prefetch",
        "Where the data came from",
        "Keys that a call brought, that were fetched, and that could not be had, in percent.",
        f"""SELECT service, sum(supplied + fetched + failed)::BIGINT AS keys,
                {_build_share("sum(supplied)", "keys")} AS "supplied %",
                {_build_share("sum(fetched)", "keys")} AS "fetched %",
                {_build_share("sum(failed)", "keys")} AS "failed %"
            FROM decision GROUP BY ALL HAVING keys > 0 ORDER BY ALL""",
    ),
    Figure(
        "fetches",
        "Searches of FHIR servers",
        "By key, how each ended and why, in milliseconds. The key jwks is a tenant's signing keys.",
        """SELECT tenant, "key", coalesce(state, '') AS state, coalesce(reason, '') AS reason,
               count(*) AS fetches, round(quantile_cont(ms, 0.5), 1) AS p50,
               round(quantile_cont(ms, 0.95), 1) AS p95, round(max(ms), 1) AS max
           FROM search GROUP BY ALL ORDER BY ALL""",
    ),
    Figure(
        "interruptions",
        "How often cards are shown",
        "Calls with a card, and cards, for each 100 calls.",
        f"""SELECT service, tenant, count(*) AS calls,
                {_build_share("count(*) FILTER (cards > 0)", "count(*)")} AS "with a card %",
                sum(cards)::BIGINT AS cards,
                {_build_share("sum(cards)", "count(*)")} AS "cards per 100 calls"
            FROM decision GROUP BY ALL ORDER BY ALL""",
    ),
    Figure(
        "cards",
        "Which cards are shown",
        "By topic and indicator, and for each 100 calls.",
        f"""SELECT topic, indicator, count(*) AS cards,
                {_build_share("count(*)", CALL_COUNT)} AS "per 100 calls"
            FROM card GROUP BY ALL ORDER BY cards DESC, topic, indicator""",
    ),
    Figure(
        "cards_by_day",
        "Cards, day by day",
        "For each 100 calls of the day, by indicator.",
        f"""SELECT day, indicator, count(uuid) AS cards,
                {_build_share("count(uuid)", "any_value(calls)")} AS "per 100 calls"
            FROM (SELECT {DAY_COLUMN}, count(*) AS calls FROM decision GROUP BY day)
            JOIN (SELECT {DAY_COLUMN}, indicator, uuid FROM card) USING (day)
            GROUP BY day, indicator ORDER BY day, indicator""",
        long=True,
    ),
    Figure(
        "withheld",
        "What was withheld, and why",
        "Cards and suggestions that there was reason to show, and reason not to.",
        f"""SELECT reason, topic, count(*) AS times,
                {_build_share("count(*)", CALL_COUNT)} AS "per 100 calls"
            FROM withheld GROUP BY ALL ORDER BY times DESC, reason, topic""",
    ),
    Figure(
        "silent",
        "What silent rules would have said",
        "Cards of rules in silent mode: judged and recorded, not shown.",
        f"""SELECT topic, service, count(*) AS times, count(DISTINCT moment::DATE) AS days,
                {_build_share("count(*)", CALL_COUNT)} AS "per 100 calls"
            FROM withheld WHERE reason = 'silent'
            GROUP BY ALL ORDER BY times DESC, topic, service""",
    ),
    Figure(
        "answers",
        "What clinicians answer",
        "By topic: of cards shown, how many were accepted, overridden or left unanswered. "
        "Overridden % is of the answered; the last answer to a card counts.",
        f"""SELECT topic, count(*) AS shown,
                count(*) FILTER (outcome = 'accepted') AS accepted,
                count(*) FILTER (outcome = 'overridden') AS overridden,
                count(*) FILTER (outcome IS NULL) AS unanswered,
                {_build_share("accepted", "accepted + overridden")} AS "accepted %",
                {_build_share("overridden", "accepted + overridden")} AS "overridden %",
                {_build_share("unanswered", "count(*)")} AS "unanswered %"
            FROM shown AS one GROUP BY topic ORDER BY count(*) DESC, topic""",
    ),
    Figure(
        "override_reasons",
        "Why cards are overridden",
        "Codes that the service offers; other is any other code, none is no code at all.",
        f"""SELECT topic, reason, answers,
                {_build_share("answers", "sum(answers) OVER (PARTITION BY topic)")}
                    AS "of the topic's overrides %"
            FROM (SELECT topic, coalesce(reason, 'none') AS reason, count(*) AS answers
                  FROM shown WHERE outcome = 'overridden' GROUP BY ALL)
            ORDER BY topic, answers DESC, reason""",
    ),
    Figure(
        "answers_by_service",
        "Answers by service",
        "Answered % is of cards shown. A client that sends no feedback answers none.",
        f"""SELECT service, tenant, count(*) AS shown, count(outcome) AS answered,
                {_build_share("answered", "count(*)")} AS "answered %"
            FROM shown AS one GROUP BY ALL ORDER BY ALL""",
    ),
    Figure(
        "errors",
        "Errors",
        "By status and reason. Without a status: faults outside calls.",
        """SELECT status, reason, coalesce(service, '') AS service, coalesce(tenant, '') AS tenant,
               count(*) AS times, min(moment) AS first, max(moment) AS last
           FROM error GROUP BY ALL ORDER BY status DESC, times DESC, reason, service, tenant""",
    ),
    Figure(
        "auth_refusals",
        "Callers refused",
        "By reason; a tenant only where the token was that of one.",
        """SELECT coalesce(tenant, 'not known') AS tenant, reason, count(*) AS times,
               min(moment) AS first, max(moment) AS last
           FROM auth_refused GROUP BY ALL ORDER BY times DESC, tenant, reason""",
    ),
    Figure(
        "by_day",
        "Day by day",
        "Calls answered, errors and callers refused.",
        f"""SELECT day, count(*) FILTER (kind = 'answered') AS answered,
                count(*) FILTER (kind = 'error') AS errors,
                count(*) FILTER (kind = 'refused') AS refused
            FROM (SELECT {DAY_COLUMN}, 'answered' AS kind FROM decision
                  UNION ALL SELECT {DAY_COLUMN}, 'error' FROM error
                  UNION ALL SELECT {DAY_COLUMN}, 'refused' FROM auth_refused)
            GROUP BY day ORDER BY day""",
    ),
    Figure(
        "categories",
        "What was found",
        "Calls by the category of each axis and by tier.",
        f"""SELECT axis, category, count(*) AS calls,
                {_build_share("count(*)", CALL_COUNT)} AS "of calls %"
            FROM (SELECT axis, category FROM finding
                  UNION ALL SELECT 'tier', tier FROM decision WHERE tier IS NOT NULL)
            GROUP BY ALL ORDER BY axis, calls DESC, category""",
    ),
    Figure(
        "knowledge",
        "Knowledge in force",
        "Versions that decisions named, and when each was first and last seen.",
        """SELECT tenant, axis, label AS knowledge, count(*) AS calls, min(moment) AS first,
               max(moment) AS last
           FROM knowledge GROUP BY ALL ORDER BY tenant, axis, first""",
    ),
    Figure(
        "versions",
        "Versions of the service",
        "Calls that each version answered. Each worker says of each tenant that it starts.",
        """SELECT version, sum(calls)::BIGINT AS calls, sum(starts)::BIGINT AS starts,
               sum(stops)::BIGINT AS stops, min(moment) AS first, max(moment) AS last
           FROM (SELECT version, moment, 1 AS calls, 0 AS starts, 0 AS stops FROM decision
                 UNION ALL
                 SELECT version, moment, 0, (event = 'start')::INTEGER, (event = 'stop')::INTEGER
                 FROM start)
           WHERE version IS NOT NULL GROUP BY version ORDER BY first""",
    ),
    Figure(
        "lines",
        "What was read",
        "Lines of the logs, and what they were; empty ones aside.",
        "SELECT kind, lines FROM source ORDER BY lines DESC, kind",
    ),
)
