"""What was kept, read back for those who may ask: auditors, and who reads clinicians' words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, select

from cds_hooks.records.audit_chain import Purged
from cds_hooks.records.store import Records
from cds_hooks.records.tables import audit, card, decision, feedback

AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class KeptDecision:
    """A call that was answered."""

    id: str
    at: datetime
    tenant: str
    service: str
    hook: str
    hook_instance: str
    patient_hash: str
    version: str
    rules: tuple[str, ...]
    knowledge: Mapping[str, str]
    cards: int


@dataclass(frozen=True, slots=True)
class KeptFeedback:
    """What became of a card."""

    id: int
    at: datetime
    tenant: str
    service: str
    card: str
    outcome: str
    reason_system: str
    reason_code: str


@dataclass(frozen=True, slots=True)
class KeptPurge:
    """Records before `cutoff` were removed."""

    row: int
    at: datetime
    tenant: str
    cutoff: datetime


Kept = KeptDecision | KeptFeedback | KeptPurge


def kept_between(
    records: Records, tenant: str, since: datetime | None, until: datetime | None
) -> Iterator[Kept]:
    """A tenant's decisions, then answers, then purges, each oldest first.

    Raises RecordsUnavailable.
    """
    cards = (
        select(card.c.decision, func.count().label("cards")).group_by(card.c.decision).subquery()
    )
    decisions = (
        select(decision, func.coalesce(cards.c.cards, 0).label("cards"))
        .outerjoin(cards, cards.c.decision == decision.c.id)
        .where(_between(decision, "at", tenant, since, until))
        .order_by(decision.c.at, decision.c.id)
    )
    for row in _rows(records, decisions):
        yield KeptDecision(
            **{name: row[name] for name in KeptDecision.__slots__ if name in row},
            rules=tuple(row["record"].get("rules", ())),
            knowledge=row["record"].get("knowledge", {}),
        )
    answers = select(feedback).where(_between(feedback, "received_at", tenant, since, until))
    for row in _rows(records, answers.order_by(feedback.c.id)):
        yield KeptFeedback(
            at=row["received_at"],
            **{name: row[name] for name in KeptFeedback.__slots__ if name in row},
        )
    purges = select(audit).where(
        _between(audit, "at", tenant, since, until), audit.c.kind == "purge"
    )
    for row in _rows(records, purges.order_by(audit.c.seq)):
        cutoff = Purged.read(row["subject"]).cutoff
        yield KeptPurge(row["seq"], row["at"], tenant, cutoff)


def comments_of(
    records: Records, tenant: str, since: datetime | None, until: datetime | None
) -> Iterator[dict[str, Any]]:
    """Clinicians' free text, opened with the tenant's keys. Raises RecordsUnavailable."""
    typed = (
        select(feedback, card.c.topic)
        .outerjoin(card, card.c.uuid == feedback.c.card)
        .where(
            _between(feedback, "received_at", tenant, since, until), feedback.c.comment.is_not(None)
        )
        .order_by(feedback.c.id)
    )
    for row in _rows(records, typed):
        opened = records.ring.decrypt(tenant, row["comment"])
        yield {
            "tenant": tenant,
            "at": row["received_at"],
            "service": row["service"],
            "card": row["card"],
            "topic": row["topic"],
            "outcome": row["outcome"],
            "reason": row["reason_code"] or None,
            # Without its key it is not to be had; that there was one is worth knowing.
            "comment": opened,
            "opened": opened is not None,
        }


def _between(
    table: Table, column: str, tenant: str, since: datetime | None, until: datetime | None
) -> ColumnElement[bool]:
    at = table.c[column]
    bounds = [at >= since] if since else []
    if until:
        bounds.append(at < until)
    return and_(table.c.tenant == tenant, *bounds)


def _rows(records: Records, statement: Any) -> Iterator[Mapping[str, Any]]:
    with records.guarded(), records.engine.connect() as connection:
        found = connection.execute(statement, execution_options={"yield_per": AT_ONCE})
        yield from map(dict, found.mappings())
