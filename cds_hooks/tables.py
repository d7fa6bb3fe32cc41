"""The tables of the records. What a patient is called stands in none of them."""

from datetime import UTC, datetime

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


class Moment(TypeDecorator[datetime]):
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
    Column("at", Moment, nullable=False),
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
    Column("outcome_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
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
    Column("until", Moment, nullable=False),
    Index("seen_token_until", "until"),
)

# One row for each record that was kept, each bound to the one before it.
audit = Table(
    "audit",
    metadata,
    Column("tenant", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),  # 1, 2, 3 ...
    Column("at", Moment, nullable=False),
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
    Column("since", Moment, nullable=False),
)
