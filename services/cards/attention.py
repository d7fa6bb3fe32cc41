"""Which cards are worth an interruption now: a pure function of the cards and of what was shown.

Nothing is lost: whatever is withheld is named, with why, in the record and in the log.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cds_hooks.protocol.card_history import CardHistory, PastCard
from cds_hooks.protocol.cards import Card, Indicator
from mappings.actions.attention import AttentionRules

INDICATORS_ASCENDING = tuple(Indicator)
COMBINED_SUFFIX = "AndMuscle"  # a card about both axes has said what the card about one would


@dataclass(frozen=True, slots=True)
class CardCandidate:
    """A card that there is reason to show."""

    card: Card
    topic: str
    urgent: bool  # days matter, by the rules' own urgency


class WithheldCard(NamedTuple):
    """A card that there was reason to show, and why it is not."""

    card: Card
    topic: str
    reason: str  # "snoozed", "repeat", "limit", "below" or "silent"


@dataclass(frozen=True, slots=True)
class AttentionResult:
    cards: tuple[Card, ...]
    withheld_cards: tuple[WithheldCard, ...] = ()

    @property
    def withheld(self) -> tuple[str, ...]:
        """ "snoozed:b12Indeterminate" """
        return tuple(f"{one.reason}:{one.topic}" for one in self.withheld_cards)


def select_cards(
    candidates: Iterable[CardCandidate], rules: AttentionRules, memory: CardHistory, now: datetime
) -> AttentionResult:
    """The cards to show, the most urgent first, and what is withheld and why."""
    ordered = sorted(candidates, key=_rank_candidate, reverse=True)
    if rules.mode == "everything":
        return AttentionResult(tuple(one.card for one in ordered))
    shown: list[Card] = []
    held_back: list[WithheldCard] = []
    for one in ordered:
        reason = _find_withhold_reason(one, rules, memory, now)
        if reason is None and len(shown) >= rules.cards and not _is_critical(one):
            reason = "limit"
        if rules.mode == "silent" and reason is None:
            reason = "silent"
        if reason is None:
            shown.append(one.card)
        else:
            held_back.append(WithheldCard(one.card, one.topic, reason))
    return AttentionResult(tuple(shown), tuple(held_back))


def _rank_candidate(one: CardCandidate) -> tuple[int, bool]:
    return INDICATORS_ASCENDING.index(one.card.indicator), one.urgent


def _is_critical(one: CardCandidate) -> bool:
    return one.card.indicator is Indicator.CRITICAL


def _find_withhold_reason(
    one: CardCandidate, rules: AttentionRules, memory: CardHistory, now: datetime
) -> str | None:
    if _is_critical(one):
        return None
    if INDICATORS_ASCENDING.index(one.card.indicator) < INDICATORS_ASCENDING.index(
        Indicator(rules.at_least)
    ):
        return "below"
    sealed: list[frozenset[str]] | None = None
    for before in memory.find_cards(rules.max_quiet_days, (one.topic, one.topic + COMBINED_SUFFIX)):
        repeated = rules.repeat_guard and before.same_encounter
        if not repeated and not _is_snoozed(one, before, rules, now):
            continue
        if sealed is None:
            sealed = [memory.make_seals(mark) for mark in one.card.rests_on]
        if not _is_woken(one, before, sealed):
            return "repeat" if repeated else "snoozed"
    return None


def _is_snoozed(one: CardCandidate, before: PastCard, rules: AttentionRules, now: datetime) -> bool:
    if before.answered_at is None:
        return False
    reason = before.reason if before.outcome == "overridden" else None
    days = rules.get_quiet_days(reason, urgent=one.urgent)
    return now < before.answered_at + timedelta(days=days)


def _is_woken(one: CardCandidate, before: PastCard, sealed: Iterable[frozenset[str]]) -> bool:
    """By a new result or symptom, or a worse finding. (A worse category is another topic.)"""
    worse = INDICATORS_ASCENDING.index(one.card.indicator) > INDICATORS_ASCENDING.index(
        Indicator(before.indicator)
    )
    return worse or any(seals.isdisjoint(before.rests_on) for seals in sealed)
