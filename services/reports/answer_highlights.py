"""What stands out in what the service says, and what is answered."""

from collections.abc import Iterator
from typing import Any

import duckdb

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

OVERRIDDEN_PERCENT, FEW_ANSWERS = 80, 20
MIN_SHOWN = 50  # cards without a single answer
MIN_CARDS = 20


def _find_overridden_topics(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    reasons = figures["override_reasons"].as_dicts()
    for one in sorted(figures["answers"].as_dicts(), key=lambda one: -one["overridden"]):
        answered = one["accepted"] + one["overridden"]
        if answered >= FEW_ANSWERS and 100 * one["overridden"] > OVERRIDDEN_PERCENT * answered:
            said = next(r for r in reasons if r["topic"] == one["topic"])
            yield Highlight(
                f"{one['topic']} is overridden {format_number(one['overridden'])} of "
                f"{format_number(answered)} times ({one['overridden %']:.0f} %)",
                f"Reason given most often: {said['reason']} ({format_number(said['answers'])}).",
                "answers",
                f"{one['topic']} ({one['overridden %']:.0f} %)",
            )


def _find_missing_feedback(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    for one in figures["answers_by_service"].as_dicts():
        if one["shown"] >= MIN_SHOWN and not one["answered"]:
            yield Highlight(
                f"None of {format_number(one['shown'])} cards of {one['service']} was answered "
                f"at {one['tenant']}",
                "Perhaps this client sends no feedback.",
                "answers_by_service",
                f"{one['service']} of {one['tenant']}",
                problem=False,
            )


def _find_card_surges(
    _figures: Figures, connection: duckdb.DuckDBPyConnection
) -> Iterator[Highlight]:
    found = connection.execute(
        """SELECT moment::DATE AS day, sum(cards) AS cards, 1e2 * sum(cards) / count(*) AS rate
           FROM decision GROUP BY day HAVING count(*) >= $few ORDER BY day""",
        {"few": MIN_CALLS},
    ).fetchall()
    days = [{"day": day, "cards": cards, "rate": float(rate)} for day, cards, rate in found]
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
    seen: dict[tuple[str, str], str] = {}
    for one in figures["knowledge"].as_dicts():
        before = seen.get((one["tenant"], one["axis"]))
        if before is not None:
            yield Highlight(
                f"{one['axis']} of {one['tenant']} is judged by {one['knowledge']} "
                f"since {format_time(one['first'])}",
                f"Before it was {before}.",
                "knowledge",
                f"{one['knowledge']} of {one['tenant']}",
                problem=False,
            )
        seen[one["tenant"], one["axis"]] = one["knowledge"]


def _find_unread_lines(figures: Figures, _connection: Any) -> Iterator[Highlight]:
    kinds = [one for one in figures["lines"].as_dicts() if one["kind"] != "read"]
    lines = sum(one["lines"] for one in kinds)
    if lines:
        yield Highlight(
            f"{format_number(lines)} {make_plural(lines, 'line')} of the logs could not be used",
            ", ".join(f"{one['kind']}: {format_number(one['lines'])}" for one in kinds) + ".",
            "lines",
            "lines",
            problem=False,
        )


RULES = (
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
