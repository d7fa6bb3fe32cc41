"""Database tables, and the rows that a decision, its cards and its feedback become.

No patient and no words in clear: patients are keyed hashes.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

from cds_hooks.protocol.feedback import Feedback
from cds_hooks.protocol.hook_request import UUID
from cds_hooks.records.keyring import Keyring


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time, in UTC on either database: SQLite forgets offsets."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, _dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


metadata = MetaData()

decision = Table(
    "decision",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("hook", String(64), nullable=False),
    Column("hook_instance", String(255), nullable=False),
    Column("patient_hash", String(64), nullable=False),
    Column("encounter_hash", String(64)),
    Column("version", String(32), nullable=False),
    Column("status", Integer, nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("tier", String(8)),  # reports group by it; null where a service has none
    Column("prefetch", JSON, nullable=False),  # counts of keys by how they were come by
    Column("record", JSON, nullable=False),  # rules, withheld cards, knowledge in force
    Column("key_id", String(8)),  # of the key that the hashes were made with
    Index("decision_at", "at"),
    Index("decision_patient", "patient_hash", "at"),
)

# What a decision came to on each clinical question; reports group by it.
finding = Table(
    "finding",
    metadata,
    Column("decision", String(36), ForeignKey("decision.id"), primary_key=True),
    Column("topic", String(64), primary_key=True),
    Column("category", String(32)),  # null where a record of before version 0004 had none
    sqlite_with_rowid=False,  # its key is its only index: half the cost of a row
)

card = Table(
    "card",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("decision", String(36), ForeignKey("decision.id"), nullable=False, index=True),
    Column("topic_system", String(255)),
    Column("topic", String(128)),  # a code that stands for one rule and finding
    Column("indicator", String(16), nullable=False),
    Column("suggestions", JSON, nullable=False),  # their uuids
    Column("rests_on", JSON),  # sealed marks of its evidence; null before version 0002
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("tenant", String(64), nullable=False, server_default="local"),
    Column("card", String(255), nullable=False, index=True),
    Column("service", String(64), nullable=False),
    Column("known_card", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("accepted", JSON, nullable=False),
    Column("reason_system", String(255), nullable=False),
    Column("reason_code", String(255), nullable=False),
    Column("had_comment", Boolean, nullable=False),
    Column("comment", Text),  # encrypted; null where there was none or the site drops them
    Column("outcome_at", UtcDateTime, nullable=False),
    Column("received_at", UtcDateTime, nullable=False),
    # A repeated message changes nothing. Empty texts, not nulls: nulls are never equal.
    UniqueConstraint(
        *("tenant", "card", "outcome", "outcome_at", "reason_system", "reason_code"),
        name="feedback_once",
    ),
)

# Ids of tokens that were used: none is good twice.
seen_token = Table(
    "seen_token",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("digest", String(48), primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Index("seen_token_until", "until"),
)

# One row for each record that was kept, each bound to the one before it.
audit = Table(
    "audit",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 ...
    Column("at", UtcDateTime, nullable=False),
    Column("kind", String(16), nullable=False),  # decision, feedback, purge
    Column("subject", String(255), nullable=False),
    Column("digest", String(64), nullable=False),  # of the record
    Column("key_id", String(8), nullable=False),
    Column("link", String(64), nullable=False),  # of this row and the link before it
)

# Keys that records here were written with: without one of them, part of the past is unreadable.
key_used = Table(
    "key_used",
    metadata,
    Column("key_id", String(8), primary_key=True),
    Column("since", UtcDateTime, nullable=False),
)


# Members of a service's record that stand apart, because reports group by them.
COLUMN_MEMBERS = frozenset({"findings", "tier"})
# Ends the name of a category in a decision's row: "<topic>_category". Before version 0004 these
# were columns. The chain and the spool have kept the names, so older records still verify.
CATEGORY_SUFFIX = "_category"
DECISION_COLUMNS = frozenset(decision.columns.keys())


@dataclass(frozen=True, slots=True)
class StoredCard:
    uuid: str
    topic: str | None
    indicator: str
    suggestions: tuple[str, ...]  # uuids
    topic_system: str | None = None
    rests_on: frozenset[str] = frozenset()  # marks, sealed before they are kept


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One answered call, as the records keep it."""

    id: str
    at: datetime
    tenant: str
    service: str
    hook: str
    hook_instance: str
    patient_id: str
    encounter_id: str | None
    version: str
    duration_ms: float
    record: Mapping[str, Any]  # what a service says of its decision
    cards: tuple[StoredCard, ...]
    prefetch: Mapping[str, int] | None = None  # keys supplied, fetched, failed, incomplete
    status: int = 200


def build_decision_row(ring: Keyring, stored: StoredDecision) -> dict[str, Any]:
    encounter = stored.encounter_id
    return {
        "id": stored.id,
        "at": stored.at,
        "tenant": stored.tenant,
        "service": stored.service,
        "hook": stored.hook,
        "hook_instance": stored.hook_instance,
        "patient_hash": ring.hash_patient(stored.tenant, stored.patient_id),
        "encounter_hash": ring.hash_patient(stored.tenant, encounter) if encounter else None,
        "version": stored.version,
        "status": stored.status,
        "duration_ms": stored.duration_ms,
        **build_category_members(stored.record.get("findings", {})),
        "tier": stored.record.get("tier"),
        "prefetch": stored.prefetch or {},
        "record": {n: value for n, value in stored.record.items() if n not in COLUMN_MEMBERS},
        "key_id": ring.current_id,
    }


def build_category_members(findings: Mapping[str, str | None]) -> dict[str, str | None]:
    """The members of a decision's row for its findings: a category by topic."""
    return {f"{topic}{CATEGORY_SUFFIX}": category for topic, category in findings.items()}


def build_finding_rows(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of the table `finding` that a decision's row holds."""
    return [
        {"decision": row["id"], "topic": name.removesuffix(CATEGORY_SUFFIX), "category": row[name]}
        for name in sorted(row.keys() - DECISION_COLUMNS)
        if name.endswith(CATEGORY_SUFFIX)
    ]


def build_card_row(ring: Keyring, stored: StoredDecision, shown: StoredCard) -> dict[str, Any]:
    return {
        "uuid": shown.uuid,
        "decision": stored.id,
        "topic_system": shown.topic_system,
        "topic": shown.topic,
        "indicator": shown.indicator,
        "suggestions": shown.suggestions,
        "rests_on": sorted(ring.seal(stored.tenant, mark) for mark in shown.rests_on),
    }


def build_audit_content(
    row: Mapping[str, Any], cards: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """What the audit chain signs of a decision: its whole row, and its cards in a fixed order."""
    plain = [{str(name): value for name, value in card_row.items()} for card_row in cards]
    return {**row, "cards": sorted(plain, key=lambda card_row: str(card_row["uuid"]))}


def build_feedback_row(
    ring: Keyring, tenant: str, service: str, item: Feedback, received: datetime, comments: bool
) -> dict[str, Any]:
    keeps = comments and item.comment is not None
    return {
        "tenant": tenant,
        "card": _protect_id(ring, tenant, item.card),
        "service": service,
        "outcome": item.outcome,
        "accepted": [_protect_id(ring, tenant, uuid) for uuid in item.accepted],
        "reason_system": _replace_nul(item.reason_system or ""),
        "reason_code": _replace_nul(item.reason_code or ""),
        "had_comment": item.comment is not None,
        "comment": ring.encrypt(tenant, item.comment or "") if keeps else None,
        "outcome_at": item.at,
        "received_at": received,
    }


def _protect_id(ring: Keyring, tenant: str, identifier: str) -> str:
    """Ids that this service gave are UUIDs; what else a client sends may name a patient."""
    if UUID.fullmatch(identifier):
        return identifier.lower().removeprefix("urn:uuid:")
    return ring.seal(tenant, identifier)


def parse_times(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {**row, **{name: datetime.fromisoformat(row[name]) for name in names}}


def _replace_nul(text: str) -> str:
    """PostgreSQL's text has no NUL, which JSON allows."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
