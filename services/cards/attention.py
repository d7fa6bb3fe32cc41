"""Which cards are worth an interruption now: a pure function of the cards and of what was shown.

Nothing is lost: whatever is withheld is named, with why, in the record and in the log.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cds_hooks.protocol.card_history import Memory, PastCard
from cds_hooks.protocol.cards import Card, Indicator
from mappings.actions.attention import AttentionRules

LEAST_FIRST = tuple(Indicator)
AND_MUSCLE = "AndMuscle"  # a card about both axes has said what the card about one would


@dataclass(frozen=True, slots=True)
class Candidate:
    """A card that there is reason to show."""

    card: Card
    topic: str
    urgent: bool  # days matter, by the rules' own urgency


class HeldBack(NamedTuple):
    """A card that there was reason to show, and why it is not."""

    card: Card
    topic: str
    reason: str  # "snoozed", "repeat", "limit", "below" or "silent"


@dataclass(frozen=True, slots=True)
class Attended:
    cards: tuple[Card, ...]
    held_back: tuple[HeldBack, ...] = ()

    @property
    def withheld(self) -> tuple[str, ...]:
        """ "snoozed:b12Indeterminate" """
        return tuple(f"{one.reason}:{one.topic}" for one in self.held_back)


def attend(
    candidates: Iterable[Candidate], rules: AttentionRules, memory: Memory, now: datetime
) -> Attended:
    """The cards to show, the most urgent first, and what is withheld and why."""
    ordered = sorted(candidates, key=_urgency, reverse=True)
    if rules.mode == "everything":
        return Attended(tuple(one.card for one in ordered))
    shown: list[Card] = []
    held_back: list[HeldBack] = []
    for one in ordered:
        reason = _reason_to_withhold(one, rules, memory, now)
        if reason is None and len(shown) >= rules.cards and not _critical(one):
            reason = "limit"
        if rules.mode == "silent" and reason is None:
            reason = "silent"
        if reason is None:
            shown.append(one.card)
        else:
            held_back.append(HeldBack(one.card, one.topic, reason))
    return Attended(tuple(shown), tuple(held_back))


def _urgency(one: Candidate) -> tuple[int, bool]:
    return LEAST_FIRST.index(one.card.indicator), one.urgent


def _critical(one: Candidate) -> bool:
    return one.card.indicator is Indicator.CRITICAL


def _reason_to_withhold(
    one: Candidate, rules: AttentionRules, memory: Memory, now: datetime
) -> str | None:
    if _critical(one):
        return None
    if LEAST_FIRST.index(one.card.indicator) < LEAST_FIRST.index(Indicator(rules.at_least)):
        return "below"
    sealed: list[frozenset[str]] | None = None
    for before in memory.past(rules.longest_quiet, (one.topic, one.topic + AND_MUSCLE)):
        repeated = rules.repeat_guard and before.same_encounter
        if not repeated and not _snoozed(one, before, rules, now):
            continue
        if sealed is None:
            sealed = [memory.seals(mark) for mark in one.card.rests_on]
        if not _is_woken(one, before, sealed):
            return "repeat" if repeated else "snoozed"
    return None


def _snoozed(one: Candidate, before: PastCard, rules: AttentionRules, now: datetime) -> bool:
    if before.answered_at is None:
        return False
    reason = before.reason if before.outcome == "overridden" else None
    days = rules.quiet_days(reason, urgent=one.urgent)
    return now < before.answered_at + timedelta(days=days)


def _is_woken(one: Candidate, before: PastCard, sealed: Iterable[frozenset[str]]) -> bool:
    """By a new result or symptom, or a worse finding. (A worse category is another topic.)"""
    worse = LEAST_FIRST.index(one.card.indicator) > LEAST_FIRST.index(Indicator(before.indicator))
    return worse or any(seals.isdisjoint(before.rests_on) for seals in sealed)
