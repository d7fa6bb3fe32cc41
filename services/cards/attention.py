"""Select the cards worth an interruption now, by indicator, snoozes and earlier cards.

Nothing is lost: whatever is withheld is named, with why, in the record and in the log.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from cds_hooks.protocol.card_history import CardHistory, PastCard
from cds_hooks.protocol.cards import Card, Indicator
from mappings.actions.attention import AttentionRules

RANKS: Mapping[str, int] = {indicator: indicator.rank for indicator in Indicator}


class CardCandidate(NamedTuple):
    """A card that there is reason to show."""

    card: Card
    topic: str
    urgent: bool  # days matter, by the rules' own urgency
    # Codes of cards about several topics, which say what this one does.
    combined_topics: tuple[str, ...] = ()


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
        return tuple(f"{card.reason}:{card.topic}" for card in self.withheld_cards)


def select_cards(
    candidates: Iterable[CardCandidate], rules: AttentionRules, memory: CardHistory, now: datetime
) -> AttentionResult:
    """The cards to show, the most urgent first, and what is withheld and why."""
    ordered = sorted(candidates, key=_rank_candidate, reverse=True)
    if rules.mode == "everything":
        return AttentionResult(tuple(candidate.card for candidate in ordered))
    shown: list[Card] = []
    withheld: list[WithheldCard] = []
    for candidate in ordered:
        reason = _find_withhold_reason(candidate, rules, memory, now)
        if reason is None and len(shown) >= rules.cards and not _is_critical(candidate):
            reason = "limit"
        if rules.mode == "silent" and reason is None:
            reason = "silent"
        if reason is None:
            shown.append(candidate.card)
        else:
            withheld.append(WithheldCard(candidate.card, candidate.topic, reason))
    return AttentionResult(tuple(shown), tuple(withheld))


def _rank_candidate(candidate: CardCandidate) -> tuple[int, bool]:
    return candidate.card.indicator.rank, candidate.urgent


def _is_critical(candidate: CardCandidate) -> bool:
    return candidate.card.indicator is Indicator.CRITICAL


def _find_withhold_reason(
    candidate: CardCandidate, rules: AttentionRules, memory: CardHistory, now: datetime
) -> str | None:
    if _is_critical(candidate):
        return None
    if candidate.card.indicator.rank < RANKS[rules.at_least]:
        return "below"
    seals: list[frozenset[str]] | None = None
    for past in _find_past_cards(candidate, rules, memory):
        is_repeat = rules.repeat_guard and past.same_encounter
        if not is_repeat and not _is_snoozed(candidate, past, rules, now):
            continue
        if seals is None:
            seals = [memory.make_seals(mark) for mark in candidate.card.rests_on]
        if not _is_woken(candidate, past, seals):
            return "repeat" if is_repeat else "snoozed"
    return None


def _find_past_cards(
    candidate: CardCandidate, rules: AttentionRules, memory: CardHistory
) -> Iterator[PastCard]:
    """Earlier cards that said what this one says, alone or with other topics."""
    for combined in candidate.combined_topics or (candidate.topic,):
        yield from memory.find_cards(rules.max_quiet_days, (candidate.topic, combined))


def _is_snoozed(
    candidate: CardCandidate, past: PastCard, rules: AttentionRules, now: datetime
) -> bool:
    if past.answered_at is None:
        return False
    reason = past.reason if past.outcome == "overridden" else None
    days = rules.get_quiet_days(reason, urgent=candidate.urgent)
    return now < past.answered_at + timedelta(days=days)


def _is_woken(candidate: CardCandidate, past: PastCard, seals: Iterable[frozenset[str]]) -> bool:
    """Whether a new result or symptom, or a worse finding, ends the quiet days.

    A worse category is another topic.
    """
    is_worse = candidate.card.indicator.rank > RANKS[past.indicator]
    return is_worse or any(seal.isdisjoint(past.rests_on) for seal in seals)
