"""Cards shown for a patient before, as far as a decision may know: never a name, never a value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class PastCard:
    """A card that was shown for the patient before, and what became of it."""

    topic: str
    indicator: str
    same_encounter: bool
    rests_on: frozenset[str]  # sealed
    answered_at: datetime | None = None  # None: nobody said what became of it
    outcome: str | None = None  # "accepted" or "overridden"
    reason: str | None = None  # code of the override reason


class CardHistory(Protocol):
    """The earlier cards of one patient of one tenant."""

    def find_cards(self, days: int, topics: tuple[str, str]) -> tuple[PastCard, ...]:
        """Cards of these topics shown in the last `days` days, the newest first."""

    def make_seals(self, mark: str) -> frozenset[str]:
        """The seals that may stand for `mark` in this tenant's records: one for each key."""


class EmptyCardHistory:
    """No earlier cards: for the command line and population runs."""

    def find_cards(
        self,
        days: int,  # noqa: ARG002  # as CardHistory has it
        topics: tuple[str, str],  # noqa: ARG002  # as CardHistory has it
    ) -> tuple[PastCard, ...]:
        return ()

    def make_seals(self, mark: str) -> frozenset[str]:
        return frozenset({mark})
