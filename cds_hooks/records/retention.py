"""Purge records that are older than a tenant's retention; the audit chain records the purge."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Table, and_, delete, func, select, true, union

from cds_hooks.records.audit_chain import AuditRecord, PurgeMarker
from cds_hooks.records.database import get_writer
from cds_hooks.records.store import Records
from cds_hooks.records.tables import audit, card, decision, feedback, finding, key_used

BATCH_ROWS = 500  # rows of one transaction, so that calls are not held up


@dataclass(frozen=True, slots=True)
class PurgeCounts:
    """How many rows a purge removed, or would remove."""

    decisions: int
    feedback: int
    audit: int


RowFilter = ColumnElement[bool]


def purge_records(records: Records, tenant: str, cutoff: datetime, now: datetime) -> PurgeCounts:
    """Removes a tenant's records from before `cutoff`.

    The purge is added to the chain first: one that was cut short shows there, and the next one
    finishes it. Raises RecordsUnavailableError.
    """
    planned = plan_purge(records, tenant, cutoff)
    if planned == PurgeCounts(0, 0, 0):
        return planned
    with records.guard():
        last = _record_purge(records, tenant, cutoff, now)
        old = and_(decision.c.tenant == tenant, decision.c.at < cutoff)
        decisions = _remove_rows(records, decision, old)
        old = and_(feedback.c.tenant == tenant, feedback.c.received_at < cutoff)
        answers = _remove_rows(records, feedback, old)
        rows = _remove_rows(records, audit, and_(audit.c.tenant == tenant, audit.c.seq <= last))
        _forget_unused_keys(records)
    return PurgeCounts(decisions, answers, rows)


def plan_purge(records: Records, tenant: str, cutoff: datetime) -> PurgeCounts:
    """What `purge` would remove. Raises RecordsUnavailableError."""
    with records.guard(), records.engine.connect() as connection:

        def count(table: Table, column: str) -> int:
            old = and_(table.c.tenant == tenant, table.c[column] < cutoff)
            counted = select(func.count()).select_from(table).where(old)
            return int(connection.execute(counted).scalar_one())

        last = _find_last_expired(connection, tenant, cutoff)
        rows = 0
        if last is not None:
            of_tenant = and_(audit.c.tenant == tenant, audit.c.seq <= last[0])
            rows = connection.execute(
                select(func.count()).select_from(audit).where(of_tenant)
            ).scalar_one()
        return PurgeCounts(count(decision, "at"), count(feedback, "received_at"), rows)


def _find_last_expired(
    connection: Connection, tenant: str, cutoff: datetime
) -> tuple[int, str] | None:
    """The last row of the chain before its first one that stays; None where none goes."""
    of_tenant = audit.c.tenant == tenant
    stays = connection.execute(
        select(func.min(audit.c.seq)).where(of_tenant, audit.c.at >= cutoff)
    ).scalar_one()
    row = connection.execute(
        select(audit.c.seq, audit.c.link)
        .where(of_tenant, audit.c.seq < stays if stays is not None else true())
        .order_by(audit.c.seq.desc())
        .limit(1)
    ).first()
    return (row.seq, row.link) if row else None


def _record_purge(records: Records, tenant: str, cutoff: datetime, now: datetime) -> int:
    """Binds the purge into the chain; the number of the last row that it removes, 0 for none."""
    with records.open_chained_transaction(tenant) as (connection, bind):
        seq, link = _find_last_expired(connection, tenant, cutoff) or (0, "")
        marker = PurgeMarker(cutoff, seq, link)
        bind([AuditRecord(now, "purge", marker.subject, {"purge": marker.subject})])
    return seq


def _remove_rows(records: Records, table: Table, which: RowFilter) -> int:
    """Removes rows in batches, decisions with their cards and findings; how many rows went."""
    keys = list(table.primary_key.columns)
    removed = 0
    while True:
        with records.take_turn(), get_writer(records.engine).begin() as connection:
            some = select(keys[-1]).where(which).limit(BATCH_ROWS)
            ids = list(connection.execute(some).scalars())
            if not ids:
                return removed
            if table is decision:
                for of_decision in (card, finding):
                    old = of_decision.c.decision.in_(ids)
                    connection.execute(delete(of_decision).where(old))
            statement = delete(table).where(which, keys[-1].in_(ids))
            removed += connection.execute(statement).rowcount


def _forget_unused_keys(records: Records) -> None:
    """An old key that nothing is written with any more may leave the ring."""
    with records.take_turn(), get_writer(records.engine).begin() as connection:
        needed = union(
            select(decision.c.key_id).where(decision.c.key_id.is_not(None)), select(audit.c.key_id)
        )
        connection.execute(
            delete(key_used).where(
                key_used.c.key_id.not_in(needed), key_used.c.key_id != records.ring.current_id
            )
        )
