"""Read records back: decisions, feedback and purges for auditors, and clinicians' comments."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, func, select

from cds_hooks.records.audit_chain import PurgeMarker
from cds_hooks.records.store import Records
from cds_hooks.records.tables import audit, card, decision, feedback

BATCH_ROWS = 500


@dataclass(frozen=True, slots=True)
class ExportedDecision:
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
class ExportedFeedback:
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
class ExportedPurge:
    """Records before `cutoff` were removed."""

    row: int
    at: datetime
    tenant: str
    cutoff: datetime


ExportedRecord = ExportedDecision | ExportedFeedback | ExportedPurge


def read_records(
    records: Records, tenant: str, since: datetime | None, until: datetime | None
) -> Iterator[ExportedRecord]:
    """A tenant's decisions, then answers, then purges, each oldest first.

    Raises RecordsUnavailableError.
    """
    cards = (
        select(card.c.decision, func.count().label("cards")).group_by(card.c.decision).subquery()
    )
    decisions = (
        select(decision, func.coalesce(cards.c.cards, 0).label("cards"))
        .outerjoin(cards, cards.c.decision == decision.c.id)
        .where(_filter_period(decision, "at", tenant, since, until))
        .order_by(decision.c.at, decision.c.id)
    )
    for row in _read_rows(records, decisions):
        yield ExportedDecision(
            **{name: row[name] for name in ExportedDecision.__slots__ if name in row},
            rules=tuple(row["record"].get("rules", ())),
            knowledge=row["record"].get("knowledge", {}),
        )
    answers = select(feedback).where(_filter_period(feedback, "received_at", tenant, since, until))
    for row in _read_rows(records, answers.order_by(feedback.c.id)):
        yield ExportedFeedback(
            at=row["received_at"],
            **{name: row[name] for name in ExportedFeedback.__slots__ if name in row},
        )
    purges = select(audit).where(
        _filter_period(audit, "at", tenant, since, until), audit.c.kind == "purge"
    )
    for row in _read_rows(records, purges.order_by(audit.c.seq)):
        cutoff = PurgeMarker.parse(row["subject"]).cutoff
        yield ExportedPurge(row["seq"], row["at"], tenant, cutoff)


def read_comments(
    records: Records, tenant: str, since: datetime | None, until: datetime | None
) -> Iterator[dict[str, Any]]:
    """Clinicians' free text, opened with the tenant's keys. Raises RecordsUnavailableError."""
    typed = (
        select(feedback, card.c.topic)
        .outerjoin(card, card.c.uuid == feedback.c.card)
        .where(
            _filter_period(feedback, "received_at", tenant, since, until),
            feedback.c.comment.is_not(None),
        )
        .order_by(feedback.c.id)
    )
    for row in _read_rows(records, typed):
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


def _filter_period(
    table: Table, column: str, tenant: str, since: datetime | None, until: datetime | None
) -> ColumnElement[bool]:
    at = table.c[column]
    bounds = [at >= since] if since else []
    if until:
        bounds.append(at < until)
    return and_(table.c.tenant == tenant, *bounds)


def _read_rows(records: Records, statement: Any) -> Iterator[Mapping[str, Any]]:
    with records.guard(), records.engine.connect() as connection:
        result = connection.execute(statement, execution_options={"yield_per": BATCH_ROWS})
        yield from map(dict, result.mappings())
