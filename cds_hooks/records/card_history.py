"""Earlier cards of one patient and their feedback, read when a decision asks for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, or_, select

from cds_hooks.protocol.card_history import PastCard
from cds_hooks.records.keyring import Keyring
from cds_hooks.records.tables import card, decision, feedback

MAX_PAST_CARDS = 50  # rows of one patient's past with one topic


class PastRow(NamedTuple):
    topic: str | None
    indicator: str
    rests_on: list[str] | None
    at: datetime
    encounter_hash: str | None
    outcome: str | None
    reason_code: str | None
    outcome_at: datetime | None
    received_at: datetime | None


def select_past_cards(keys: int) -> Select[Any]:
    """Cards of one patient since a day, one row for each answer to them; the last suffice.

    The patient may be known by the hash of each of `keys` keys.
    """
    patient_hashes: list[Any] = [bindparam(f"patient{place}") for place in range(keys)]
    return (
        select(
            card.c.topic,
            card.c.indicator,
            card.c.rests_on,
            decision.c.at,
            decision.c.encounter_hash,
            feedback.c.outcome,
            feedback.c.reason_code,
            feedback.c.outcome_at,
            feedback.c.received_at,
        )
        .select_from(
            decision.join(card, card.c.decision == decision.c.id).outerjoin(
                feedback,
                # Another tenant's feedback on a card does not count.
                and_(feedback.c.card == card.c.uuid, feedback.c.tenant == decision.c.tenant),
            )
        )
        .where(
            or_(*(decision.c.patient_hash == patient_hash for patient_hash in patient_hashes)),
            decision.c.tenant == bindparam("tenant"),
            decision.c.at >= bindparam("since"),
            or_(card.c.topic == bindparam("topic"), card.c.topic == bindparam("other")),
        )
        .order_by(decision.c.at.desc(), feedback.c.outcome_at.desc())
        .limit(MAX_PAST_CARDS)
    )


@dataclass(frozen=True, slots=True)
class PatientCardHistory:
    """Cards shown for one patient of one tenant; nothing is read before `find_cards`."""

    read: Callable[[Mapping[str, Any]], list[PastRow]]
    ring: Keyring
    tenant: str
    patient_id: str
    encounter_id: str | None
    now: datetime

    def find_cards(self, days: int, topics: tuple[str, str]) -> tuple[PastCard, ...]:
        """Cards of these topics of the last `days` days, newest first.

        Raises RecordsUnavailableError.
        """
        encounter = (
            self.ring.list_patient_hashes(self.tenant, self.encounter_id)
            if self.encounter_id
            else ()
        )
        patients = self.ring.list_patient_hashes(self.tenant, self.patient_id)
        values = {
            **{f"patient{place}": patient for place, patient in enumerate(patients)},
            "tenant": self.tenant,
            "since": self.now - timedelta(days=days),
            "topic": topics[0],
            "other": topics[1],
        }
        return tuple(_read_past_card(row, encounter) for row in self.read(values))

    def make_seals(self, mark: str) -> frozenset[str]:
        return self.ring.list_seals(self.tenant, mark)


def _read_past_card(row: PastRow, encounter: tuple[str, ...]) -> PastCard:
    answered = row.outcome_at
    if answered is not None and row.received_at is not None:
        answered = min(answered, row.received_at)  # a client's clock may be ahead of ours
    return PastCard(
        topic=row.topic or "",
        indicator=row.indicator,
        shown_at=row.at,
        same_encounter=row.encounter_hash in encounter,
        rests_on=frozenset(row.rests_on or ()),
        answered_at=answered,
        outcome=row.outcome,
        reason=row.reason_code or None,
    )
