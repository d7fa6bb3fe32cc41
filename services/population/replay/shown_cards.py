"""Card history of a replay, in memory, as the service's records would have it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from cds_hooks.protocol.card_history import PastCard
from cds_hooks.protocol.cards import Card


class _ShownCard(NamedTuple):
    card: Card
    at: datetime
    encounter: str | None


@dataclass(slots=True)
class ShownCards:
    """The cards shown for one patient so far."""

    overridden: bool  # whether each was set aside, without a reason, as soon as it was shown
    cards: list[_ShownCard] = field(default_factory=list)

    def add(self, card: Card, at: datetime, encounter: str | None) -> None:
        self.cards.append(_ShownCard(card, at, encounter))


@dataclass(frozen=True, slots=True)
class ReplayCardHistory:
    """The card history (cds_hooks.protocol.card_history) of one call, kept in memory alone."""

    shown: ShownCards
    now: datetime
    encounter: str | None

    def find_cards(self, days: int, topics: tuple[str, str]) -> tuple[PastCard, ...]:
        since = self.now - timedelta(days=days)
        return tuple(
            self._build_past_card(shown_card, topic)
            for shown_card in reversed(self.shown.cards)
            if shown_card.at >= since
            and (topic := get_topic(shown_card.card)) is not None
            and topic in topics
        )

    def _build_past_card(self, shown_card: _ShownCard, topic: str) -> PastCard:
        overridden = self.shown.overridden
        return PastCard(
            topic=topic,
            indicator=shown_card.card.indicator.value,
            same_encounter=shown_card.encounter is not None
            and shown_card.encounter == self.encounter,
            rests_on=shown_card.card.rests_on,
            answered_at=shown_card.at if overridden else None,
            outcome="overridden" if overridden else None,
        )

    def make_seals(self, mark: str) -> frozenset[str]:
        return frozenset({mark})


def get_topic(card: Card) -> str | None:
    return card.source.topic.code if card.source.topic else None
