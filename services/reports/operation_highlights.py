"""What stands out in how the service runs: speed, failures, refusals."""

from collections.abc import Iterator
from datetime import date
from statistics import median
from typing import Any

import duckdb

from services.reports.figures import printable
from services.reports.highlight import (
    FEW_CALLS,
    TIMES,
    Figures,
    Finding,
    Rule,
    at,
    beside,
    named,
    number,
    plural,
)

FAST_MS = 50  # nobody waits for less, however many times more it is
SLOW_MS = 500  # the time that CDS Hooks asks services to stay near
FAILED_PERCENT, FEW_FAILED = 5, 5
ERROR_PERCENT, FEW_ERRORS = 1, 10
FEW_REFUSED = 10


def _server_failures(figures: Figures, _connection: Any) -> Iterator[Finding]:
    failed = [e for e in figures["errors"].dicts() if (e["status"] or 500) >= 500]
    if failed:
        times = sum(e["times"] for e in failed)
        worst = max(failed, key=lambda e: e["times"])
        yield Finding(
            f"{number(times)} {plural(times, 'failure')} of the service itself",
            f"Most often {worst['reason']} ({number(worst['times'])}), "
            f"last at {at(worst['last'])}.",
            "errors",
            worst["reason"],
        )


def _refused_calls(figures: Figures, _connection: Any) -> Iterator[Finding]:
    errors = [e for e in figures["errors"].dicts() if 400 <= (e["status"] or 0) < 500]
    times = sum(e["times"] for e in errors)
    answered = sum(day["answered"] for day in figures["by_day"].dicts())
    share = 100 * times / max(times + answered, 1)
    if times >= FEW_ERRORS and share > ERROR_PERCENT:
        worst = max(errors, key=lambda e: e["times"])
        yield Finding(
            f"{number(times)} calls were refused ({share:.1f} % of all)",
            f"Most often {worst['status']} {worst['reason']} ({number(worst['times'])})"
            + (f" of {worst['tenant']}" if worst["tenant"] else "")
            + f", last at {at(worst['last'])}.",
            "errors",
            worst["reason"],
        )


def _slow_days(figures: Figures, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    days = [day for day in figures["latency_by_day"].dicts() if day["calls"] >= FEW_CALLS]
    for day, others in sorted(beside(days, "p95"), key=lambda pair: -pair[0]["p95"]):
        if day["p95"] > max(TIMES * others, FAST_MS):
            yield Finding(
                f"{named(day['day'])} was slow: p95 {number(day['p95'])} ms, "
                f"on the other days {number(others)} ms",
                _searches_of(connection, day["day"]),
                "latency_by_day",
                named(day["day"]),
            )


def _searches_of(connection: duckdb.DuckDBPyConnection, day: date) -> str:
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
    if found[1] <= max(TIMES * found[2], FAST_MS):
        return "Searches of FHIR servers do not explain it."
    return (
        f"Searches of the FHIR server of {printable(found[0])} were slow too: "
        f"p95 {number(found[1])} ms, on the other days {number(found[2])} ms."
    )


def _slow_services(figures: Figures, _connection: Any) -> Iterator[Finding]:
    for one in figures["latency"].dicts():
        if one["calls"] >= FEW_CALLS and one["p95"] > SLOW_MS:
            yield Finding(
                f"{one['service']} is slow for {one['tenant']}: p95 {number(one['p95'])} ms",
                f"Of {number(one['calls'])} calls, half took over {number(one['p50'])} ms.",
                "latency",
                f"{one['service']} of {one['tenant']}",
            )


def _failing_fetches(_figures: Figures, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    found = connection.execute(
        """SELECT tenant, count(*) AS fetches, count(*) FILTER (NOT succeeded) AS failed,
               mode("key") FILTER (NOT succeeded), mode(reason) FILTER (NOT succeeded)
           FROM search GROUP BY tenant ORDER BY failed DESC"""
    ).fetchall()
    for tenant, fetches, failed, key, reason in (map(printable, row) for row in found):
        if failed >= FEW_FAILED and 100 * failed >= FAILED_PERCENT * fetches:
            yield Finding(
                f"{number(failed)} of {number(fetches)} searches for {tenant} failed "
                f"({100 * failed / fetches:.0f} %)",
                f"Most often the key {key}, because: {reason}.",
                "fetches",
                tenant,
            )


def _refusals_risen(figures: Figures, _connection: Any) -> Iterator[Finding]:
    days = figures["by_day"].dicts()
    for day, others in beside(days, "refused"):
        if day["refused"] >= FEW_REFUSED and day["refused"] > TIMES * others:
            yield Finding(
                f"{number(day['refused'])} callers were refused on {named(day['day'])}, "
                f"on the other days {number(others)}",
                "See the reasons; they stand in the log only, callers are told nothing.",
                "auth_refusals",
                named(day["day"]),
            )


def _missing_days(figures: Figures, _connection: Any) -> Iterator[Finding]:
    days = {day["day"]: day["answered"] for day in figures["by_day"].dicts() if day["answered"]}
    if len(days) < 3 or median(days.values()) < FEW_CALLS:
        return
    first, last = min(days), max(days)
    for ordinal in range(first.toordinal(), last.toordinal()):
        day = date.fromordinal(ordinal)
        if day not in days and day.isoweekday() <= 5:
            yield Finding(
                f"No call was answered on {named(day)}",
                f"Half of the other days have over {number(median(days.values()))}.",
                "by_day",
                named(day),
            )


RULES = (
    Rule("Any failure of the service itself (status 500 and over).", _server_failures),
    Rule(
        f"A day of at least {FEW_CALLS} calls whose p95 is over {FAST_MS} ms and more than "
        f"{TIMES} times the median of the other days.",
        _slow_days,
    ),
    Rule(
        f"A service whose p95 is over {SLOW_MS} ms for a tenant, of at least {FEW_CALLS} calls.",
        _slow_services,
    ),
    Rule(
        f"A tenant for whom at least {FEW_FAILED} searches failed, and {FAILED_PERCENT} % of all.",
        _failing_fetches,
    ),
    Rule(
        f"A day with at least {FEW_REFUSED} refused callers, more than {TIMES} times the median of "
        "the other days.",
        _refusals_risen,
    ),
    Rule(
        f"At least {FEW_ERRORS} calls refused with another status from 400 to 499, and over "
        f"{ERROR_PERCENT} % of all.",
        _refused_calls,
    ),
    Rule(
        "A day from Monday to Friday without a call, where half of the days have over "
        f"{FEW_CALLS}.",
        _missing_days,
    ),
)
