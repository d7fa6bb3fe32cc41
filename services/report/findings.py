"""What stands out in a report: plain rules with stated limits, each finding with its number."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from statistics import median
from typing import Any

import duckdb

from services.report.figures import Computed, printable

FEW_CALLS = 20  # of a day or a service: fewer say nothing of its speed
TIMES = 3  # as much as on the other days
FAST_MS = 50  # nobody waits for less, however many times more it is
SLOW_MS = 500  # the time that CDS Hooks asks services to stay near
OVERRIDDEN_PERCENT, FEW_ANSWERS = 80, 20
FEW_SHOWN = 50  # cards without a single answer
FAILED_PERCENT, FEW_FAILED = 5, 5
ERROR_PERCENT, FEW_ERRORS = 1, 10
FEW_REFUSED = 10
FEW_CARDS = 20
MOST_ALIKE = 4  # findings of one rule

Rows = list[dict[str, Any]]
Figures = Mapping[str, Computed]


@dataclass(frozen=True, slots=True)
class Finding:
    says: str
    more: str
    where: str  # name of the figure to look at
    about: str  # the day, topic, tenant ... in short
    problem: bool = True  # False: worth knowing


@dataclass(frozen=True, slots=True)
class Rule:
    says: str
    find: Callable[[Figures, duckdb.DuckDBPyConnection], Iterator[Finding]]


def findings(figures: Figures, connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    """Problems first, each in the order of the rules."""
    found = [one for rule in RULES for one in _few(list(rule.find(figures, connection)))]
    return sorted(found, key=lambda finding: not finding.problem)


def _few(found: list[Finding]) -> list[Finding]:
    """The first of what one rule found, and the others in one."""
    if len(found) <= MOST_ALIKE:
        return found
    said, others = found[: MOST_ALIKE - 1], found[MOST_ALIKE - 1 :]
    names = ", ".join(one.about for one in others)
    more = Finding(f"{len(others)} more like that", f"{names}.", said[0].where, names)
    return [*said, replace(more, problem=said[0].problem)]


def named(day: date) -> str:
    return f"{day:%A} {day.day} {day:%B %Y}"


def number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:,.1f}"


def _server_failures(figures: Figures, _connection: Any) -> Iterator[Finding]:
    failed = [e for e in figures["errors"].dicts() if (e["status"] or 500) >= 500]
    if failed:
        times = sum(e["times"] for e in failed)
        worst = max(failed, key=lambda e: e["times"])
        yield Finding(
            f"{number(times)} {_plural(times, 'failure')} of the service itself",
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
    for day, others in sorted(_beside(days, "p95"), key=lambda pair: -pair[0]["p95"]):
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
    if found is None or found[1] <= max(TIMES * found[2], FAST_MS):
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


def _overridden(figures: Figures, _connection: Any) -> Iterator[Finding]:
    reasons = figures["override_reasons"].dicts()
    for one in sorted(figures["answers"].dicts(), key=lambda one: -one["overridden"]):
        answered = one["accepted"] + one["overridden"]
        if answered >= FEW_ANSWERS and 100 * one["overridden"] > OVERRIDDEN_PERCENT * answered:
            said = next(r for r in reasons if r["topic"] == one["topic"])
            yield Finding(
                f"{one['topic']} is overridden {number(one['overridden'])} of "
                f"{number(answered)} times ({one['overridden %']:.0f} %)",
                f"Reason given most often: {said['reason']} ({number(said['answers'])}).",
                "answers",
                f"{one['topic']} ({one['overridden %']:.0f} %)",
            )


def _no_feedback(figures: Figures, _connection: Any) -> Iterator[Finding]:
    for one in figures["answers_by_service"].dicts():
        if one["shown"] >= FEW_SHOWN and not one["answered"]:
            yield Finding(
                f"None of {number(one['shown'])} cards of {one['service']} was answered "
                f"at {one['tenant']}",
                "Perhaps this client sends no feedback.",
                "answers_by_service",
                f"{one['service']} of {one['tenant']}",
                problem=False,
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
    for day, others in _beside(days, "refused"):
        if day["refused"] >= FEW_REFUSED and day["refused"] > TIMES * others:
            yield Finding(
                f"{number(day['refused'])} callers were refused on {named(day['day'])}, "
                f"on the other days {number(others)}",
                "See the reasons; they stand in the log only, callers are told nothing.",
                "auth_refusals",
                named(day["day"]),
            )


def _more_cards(_figures: Figures, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    found = connection.execute(
        """SELECT moment::DATE AS day, sum(cards) AS cards, 1e2 * sum(cards) / count(*) AS rate
           FROM decision GROUP BY day HAVING count(*) >= $few ORDER BY day""",
        {"few": FEW_CALLS},
    ).fetchall()
    days = [{"day": day, "cards": cards, "rate": float(rate)} for day, cards, rate in found]
    for day, others in _beside(days, "rate"):
        if day["cards"] >= FEW_CARDS and day["rate"] > TIMES * others:
            yield Finding(
                f"{number(day['rate'])} cards per 100 calls on {named(day['day'])}, "
                f"on the other days {number(others)}",
                "Something asks more often, or something is found more often.",
                "cards_by_day",
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


def _new_knowledge(figures: Figures, _connection: Any) -> Iterator[Finding]:
    seen: dict[tuple[str, str], str] = {}
    for one in figures["knowledge"].dicts():
        before = seen.get((one["tenant"], one["axis"]))
        if before is not None:
            yield Finding(
                f"{one['axis']} of {one['tenant']} is judged by {one['knowledge']} "
                f"since {at(one['first'])}",
                f"Before it was {before}.",
                "knowledge",
                f"{one['knowledge']} of {one['tenant']}",
                problem=False,
            )
        seen[one["tenant"], one["axis"]] = one["knowledge"]


def _unread(figures: Figures, _connection: Any) -> Iterator[Finding]:
    kinds = [one for one in figures["lines"].dicts() if one["kind"] != "read"]
    lines = sum(one["lines"] for one in kinds)
    if lines:
        yield Finding(
            f"{number(lines)} {_plural(lines, 'line')} of the logs could not be used",
            ", ".join(f"{one['kind']}: {number(one['lines'])}" for one in kinds) + ".",
            "lines",
            "lines",
            problem=False,
        )


def _beside(days: Rows, name: str) -> Iterator[tuple[dict[str, Any], float]]:
    """Each of at least three days, and the median of the others."""
    if len(days) < 3:
        return
    for day in days:
        yield day, median(other[name] for other in days if other is not day)


def at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M}"


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"


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
        f"A topic overridden in over {OVERRIDDEN_PERCENT} % of at least {FEW_ANSWERS} answers.",
        _overridden,
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
        f"A day with at least {FEW_CARDS} cards, more per 100 calls than {TIMES} times the median "
        "of the other days.",
        _more_cards,
    ),
    Rule(
        "A day from Monday to Friday without a call, where half of the days have over "
        f"{FEW_CALLS}.",
        _missing_days,
    ),
    Rule(f"At least {FEW_SHOWN} cards of a service, none of them answered.", _no_feedback),
    Rule("Another version of the knowledge.", _new_knowledge),
    Rule("Lines that could not be used.", _unread),
)
