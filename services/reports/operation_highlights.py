"""What stands out in how the service runs: speed, failures, refusals."""

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
    compare_days,
    format_day,
    format_number,
    format_time,
    make_plural,
)

FAST_MS = 50  # nobody waits for less, however many times more it is
SLOW_MS = 500  # the time that CDS Hooks asks services to stay near
FAILED_PERCENT, FEW_FAILED = 5, 5
ERROR_PERCENT, FEW_ERRORS = 1, 10
MIN_REFUSED = 10


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
    found = connection.execute(
        """SELECT tenant, any_value(p95) FILTER (day = $day) AS that_day,
               median(p95) FILTER (day <> $day) AS otherwise
           FROM (SELECT tenant, moment::DATE AS day, quantile_cont(ms, 0.95) AS p95
                 FROM search GROUP BY ALL)
           GROUP BY tenant HAVING that_day IS NOT NULL AND otherwise IS NOT NULL
           ORDER BY that_day / otherwise DESC LIMIT 1""",
        {"day": day},
    ).fetchone()
    if found is None:
        return "Whether searches of FHIR servers were slow too is not known."
    if found[1] <= max(FACTOR * found[2], FAST_MS):
        return "Searches of FHIR servers do not explain it."
    return (
        f"Searches of the FHIR server of {make_printable(found[0])} were slow too: "
        f"p95 {format_number(found[1])} ms, on the other days {format_number(found[2])} ms."
    )


def _find_slow_services(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    for one in figures["latency"].as_dicts():
        if one["calls"] >= MIN_CALLS and one["p95"] > SLOW_MS:
            yield Highlight(
                f"{one['service']} is slow for {one['tenant']}: p95 {format_number(one['p95'])} ms",
                f"Of {format_number(one['calls'])} calls, half took over {format_number(one['p50'])} ms.",
                "latency",
                f"{one['service']} of {one['tenant']}",
            )


def _find_failing_fetches(
    _figures: Figures, connection: duckdb.DuckDBPyConnection
) -> Iterator[Highlight]:
    found = connection.execute(
        """SELECT tenant, count(*) AS fetches, count(*) FILTER (NOT succeeded) AS failed,
               mode("key") FILTER (NOT succeeded), mode(reason) FILTER (NOT succeeded)
           FROM search GROUP BY tenant ORDER BY failed DESC"""
    ).fetchall()
    for tenant, fetches, failed, key, reason in (map(make_printable, row) for row in found):
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
                f"{format_number(day['refused'])} callers were refused on {format_day(day['day'])}, "
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
        f"A day with at least {MIN_REFUSED} refused callers, more than {FACTOR} times the median of "
        "the other days.",
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
)
