"""What stands out in what the service says, and what is answered."""

from collections.abc import Iterator
from typing import Any

import duckdb

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

OVERRIDDEN_PERCENT, FEW_ANSWERS = 80, 20
FEW_SHOWN = 50  # cards without a single answer
FEW_CARDS = 20


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


def _more_cards(_figures: Figures, connection: duckdb.DuckDBPyConnection) -> Iterator[Finding]:
    found = connection.execute(
        """SELECT moment::DATE AS day, sum(cards) AS cards, 1e2 * sum(cards) / count(*) AS rate
           FROM decision GROUP BY day HAVING count(*) >= $few ORDER BY day""",
        {"few": FEW_CALLS},
    ).fetchall()
    days = [{"day": day, "cards": cards, "rate": float(rate)} for day, cards, rate in found]
    for day, others in beside(days, "rate"):
        if day["cards"] >= FEW_CARDS and day["rate"] > TIMES * others:
            yield Finding(
                f"{number(day['rate'])} cards per 100 calls on {named(day['day'])}, "
                f"on the other days {number(others)}",
                "Something asks more often, or something is found more often.",
                "cards_by_day",
                named(day["day"]),
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
            f"{number(lines)} {plural(lines, 'line')} of the logs could not be used",
            ", ".join(f"{one['kind']}: {number(one['lines'])}" for one in kinds) + ".",
            "lines",
            "lines",
            problem=False,
        )


RULES = (
    Rule(
        f"A topic overridden in over {OVERRIDDEN_PERCENT} % of at least {FEW_ANSWERS} answers.",
        _overridden,
    ),
    Rule(
        f"A day with at least {FEW_CARDS} cards, more per 100 calls than {TIMES} times the median "
        "of the other days.",
        _more_cards,
    ),
    Rule(f"At least {FEW_SHOWN} cards of a service, none of them answered.", _no_feedback),
    Rule("Another version of the knowledge.", _new_knowledge),
    Rule("Lines that could not be used.", _unread),
)
