"""The rules of what stands out: speed, failures and refusals; cards and what is answered."""

from collections.abc import Iterator
from datetime import date
from statistics import median
from typing import Any

import duckdb

from services.reports.figures import make_printable
from services.reports.highlight import (
    FACTOR,
    MIN_CALLS,
    Figures,
    Highlight,
    HighlightRule,
    collect_highlights,
    compare_days,
)
from services.reports.text_format import format_day, format_number, format_time, make_plural

FAST_MS = 50  # nobody waits for less, however many times more it is
SLOW_MS = 500  # the time that CDS Hooks asks services to stay near
FAILED_PERCENT, FEW_FAILED = 5, 5
ERROR_PERCENT, FEW_ERRORS = 1, 10
MIN_REFUSED = 10
OVERRIDDEN_PERCENT, FEW_ANSWERS = 80, 20
MIN_SHOWN = 50  # cards without a single answer
MIN_CARDS = 20


def _find_server_failures(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    failed = [e for e in figures["errors"].as_dicts() if (e["status"] or 500) >= 500]
    if failed:
        times = sum(e["times"] for e in failed)
        worst = max(failed, key=lambda e: e["times"])
        yield Highlight(
            f"{format_number(times)} {make_plural(times, 'failure')} of the service itself",
            f"Most often {worst['reason']} ({format_number(worst['times'])}), "
            f"last at {format_time(worst['last'])}.",
            "errors",
            worst["reason"],
        )


def _find_refused_calls(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    errors = [e for e in figures["errors"].as_dicts() if 400 <= (e["status"] or 0) < 500]
    times = sum(e["times"] for e in errors)
    answered = sum(day["answered"] for day in figures["by_day"].as_dicts())
    share = 100 * times / max(times + answered, 1)
    if times >= FEW_ERRORS and share > ERROR_PERCENT:
        worst = max(errors, key=lambda e: e["times"])
        yield Highlight(
            f"{format_number(times)} calls were refused ({share:.1f} % of all)",
            f"Most often {worst['status']} {worst['reason']} ({format_number(worst['times'])})"
            + (f" of {worst['tenant']}" if worst["tenant"] else "")
            + f", last at {format_time(worst['last'])}.",
            "errors",
            worst["reason"],
        )


def _find_slow_days(figures: Figures, connection: duckdb.DuckDBPyConnection) -> Iterator[Highlight]:
    days = [day for day in figures["latency_by_day"].as_dicts() if day["calls"] >= MIN_CALLS]
    for day, others in sorted(compare_days(days, "p95"), key=lambda pair: -pair[0]["p95"]):
        if day["p95"] > max(FACTOR * others, FAST_MS):
            yield Highlight(
                f"{format_day(day['day'])} was slow: p95 {format_number(day['p95'])} ms, "
                f"on the other days {format_number(others)} ms",
                _explain_by_searches(connection, day["day"]),
                "latency_by_day",
                format_day(day["day"]),
            )


def _explain_by_searches(connection: duckdb.DuckDBPyConnection, day: date) -> str:
    """Whether FHIR servers were slow on `day` too, and whose."""
    row = connection.execute(
        """SELECT tenant, any_value(p95) FILTER (day = $day) AS that_day,
               median(p95) FILTER (day <> $day) AS otherwise
           FROM (SELECT tenant, moment::DATE AS day, quantile_cont(ms, 0.95) AS p95
                 FROM search GROUP BY ALL)
           GROUP BY tenant HAVING that_day IS NOT NULL AND otherwise IS NOT NULL
           ORDER BY that_day / otherwise DESC LIMIT 1""",
        {"day": day},
    ).fetchone()
    if row is None:
        return "Whether searches of FHIR servers were slow too is not known."
    if row[1] <= max(FACTOR * row[2], FAST_MS):
        return "Searches of FHIR servers do not explain it."
    return (
        f"Searches of the FHIR server of {make_printable(row[0])} were slow too: "
        f"p95 {format_number(row[1])} ms, on the other days {format_number(row[2])} ms."
    )


def _find_slow_services(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    for row in figures["latency"].as_dicts():
        if row["calls"] >= MIN_CALLS and row["p95"] > SLOW_MS:
            yield Highlight(
                f"{row['service']} is slow for {row['tenant']}: p95 {format_number(row['p95'])} ms",
                f"Of {format_number(row['calls'])} calls, "
                f"half took over {format_number(row['p50'])} ms.",
                "latency",
                f"{row['service']} of {row['tenant']}",
            )


def _find_failing_fetches(
    _figures: Figures, connection: duckdb.DuckDBPyConnection
) -> Iterator[Highlight]:
    rows = connection.execute(
        """SELECT tenant, count(*) AS fetches, count(*) FILTER (NOT succeeded) AS failed,
               mode("key") FILTER (NOT succeeded), mode(reason) FILTER (NOT succeeded)
           FROM search GROUP BY tenant ORDER BY failed DESC"""
    ).fetchall()
    for tenant, fetches, failed, key, reason in (map(make_printable, row) for row in rows):
        if failed >= FEW_FAILED and 100 * failed >= FAILED_PERCENT * fetches:
            yield Highlight(
                f"{format_number(failed)} of {format_number(fetches)} searches for {tenant} failed "
                f"({100 * failed / fetches:.0f} %)",
                f"Most often the key {key}, because: {reason}.",
                "fetches",
                tenant,
            )


def _find_refusal_surges(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    days = figures["by_day"].as_dicts()
    for day, others in compare_days(days, "refused"):
        if day["refused"] >= MIN_REFUSED and day["refused"] > FACTOR * others:
            yield Highlight(
                f"{format_number(day['refused'])} callers were refused on "
                f"{format_day(day['day'])}, "
                f"on the other days {format_number(others)}",
                "See the reasons; they stand in the log only, callers are told nothing.",
                "auth_refusals",
                format_day(day["day"]),
            )


def _find_missing_days(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    days = {day["day"]: day["answered"] for day in figures["by_day"].as_dicts() if day["answered"]}
    if len(days) < 3 or median(days.values()) < MIN_CALLS:
        return
    first, last = min(days), max(days)
    for ordinal in range(first.toordinal(), last.toordinal()):
        day = date.fromordinal(ordinal)
        if day not in days and day.isoweekday() <= 5:
            yield Highlight(
                f"No call was answered on {format_day(day)}",
                f"Half of the other days have over {format_number(median(days.values()))}.",
                "by_day",
                format_day(day),
            )


def _find_overridden_topics(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    reasons = figures["override_reasons"].as_dicts()
    for row in sorted(figures["answers"].as_dicts(), key=lambda row: -row["overridden"]):
        answered = row["accepted"] + row["overridden"]
        if answered >= FEW_ANSWERS and 100 * row["overridden"] > OVERRIDDEN_PERCENT * answered:
            reason = next(r for r in reasons if r["topic"] == row["topic"])
            yield Highlight(
                f"{row['topic']} is overridden {format_number(row['overridden'])} of "
                f"{format_number(answered)} times ({row['overridden %']:.0f} %)",
                f"Reason given most often: {reason['reason']} "
                f"({format_number(reason['answers'])}).",
                "answers",
                f"{row['topic']} ({row['overridden %']:.0f} %)",
            )


def _find_missing_feedback(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    for row in figures["answers_by_service"].as_dicts():
        if row["shown"] >= MIN_SHOWN and not row["answered"]:
            yield Highlight(
                f"None of {format_number(row['shown'])} cards of {row['service']} was answered "
                f"at {row['tenant']}",
                "Perhaps this client sends no feedback.",
                "answers_by_service",
                f"{row['service']} of {row['tenant']}",
                problem=False,
            )


def _find_card_surges(
    _figures: Figures, connection: duckdb.DuckDBPyConnection
) -> Iterator[Highlight]:
    rows = connection.execute(
        """SELECT moment::DATE AS day, sum(cards) AS cards, 1e2 * sum(cards) / count(*) AS rate
           FROM decision GROUP BY day HAVING count(*) >= $few ORDER BY day""",
        {"few": MIN_CALLS},
    ).fetchall()
    days = [{"day": day, "cards": cards, "rate": float(rate)} for day, cards, rate in rows]
    for day, others in compare_days(days, "rate"):
        if day["cards"] >= MIN_CARDS and day["rate"] > FACTOR * others:
            yield Highlight(
                f"{format_number(day['rate'])} cards per 100 calls on {format_day(day['day'])}, "
                f"on the other days {format_number(others)}",
                "Something asks more often, or something is found more often.",
                "cards_by_day",
                format_day(day["day"]),
            )


def _find_new_knowledge(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    latest: dict[tuple[str, str], str] = {}
    for row in figures["knowledge"].as_dicts():
        earlier = latest.get((row["tenant"], row["axis"]))
        if earlier is not None:
            yield Highlight(
                f"{row['axis']} of {row['tenant']} is judged by {row['knowledge']} "
                f"since {format_time(row['first'])}",
                f"Before it was {earlier}.",
                "knowledge",
                f"{row['knowledge']} of {row['tenant']}",
                problem=False,
            )
        latest[row["tenant"], row["axis"]] = row["knowledge"]


def _find_unread_lines(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    kinds = [row for row in figures["lines"].as_dicts() if row["kind"] != "read"]
    lines = sum(row["lines"] for row in kinds)
    if lines:
        yield Highlight(
            f"{format_number(lines)} {make_plural(lines, 'line')} of the logs could not be used",
            ", ".join(f"{row['kind']}: {format_number(row['lines'])}" for row in kinds) + ".",
            "lines",
            "lines",
            problem=False,
        )


RULES = (
    HighlightRule(
        "Any failure of the service itself (status 500 and over).", _find_server_failures
    ),
    HighlightRule(
        f"A day of at least {MIN_CALLS} calls whose p95 is over {FAST_MS} ms and more than "
        f"{FACTOR} times the median of the other days.",
        _find_slow_days,
    ),
    HighlightRule(
        f"A service whose p95 is over {SLOW_MS} ms for a tenant, of at least {MIN_CALLS} calls.",
        _find_slow_services,
    ),
    HighlightRule(
        f"A tenant for whom at least {FEW_FAILED} searches failed, and {FAILED_PERCENT} % of all.",
        _find_failing_fetches,
    ),
    HighlightRule(
        f"A day with at least {MIN_REFUSED} refused callers, more than {FACTOR} times the median "
        "of the other days.",
        _find_refusal_surges,
    ),
    HighlightRule(
        f"At least {FEW_ERRORS} calls refused with another status from 400 to 499, and over "
        f"{ERROR_PERCENT} % of all.",
        _find_refused_calls,
    ),
    HighlightRule(
        "A day from Monday to Friday without a call, where half of the days have over "
        f"{MIN_CALLS}.",
        _find_missing_days,
    ),
    HighlightRule(
        f"A topic overridden in over {OVERRIDDEN_PERCENT} % of at least {FEW_ANSWERS} answers.",
        _find_overridden_topics,
    ),
    HighlightRule(
        f"A day with at least {MIN_CARDS} cards, more per 100 calls than {FACTOR} times the median "
        "of the other days.",
        _find_card_surges,
    ),
    HighlightRule(
        f"At least {MIN_SHOWN} cards of a service, none of them answered.", _find_missing_feedback
    ),
    HighlightRule("Another version of the knowledge.", _find_new_knowledge),
    HighlightRule("Lines that could not be used.", _find_unread_lines),
)


def find_highlights(figures: Figures, connection: duckdb.DuckDBPyConnection) -> list[Highlight]:
    """Find what stands out by all rules, problems first."""
    return collect_highlights(RULES, figures, connection)
