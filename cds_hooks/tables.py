"""The tables of the records. What a patient is called stands in none of them."""

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

decision = Table(
    "decision",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("tenant", String(64), nullable=False),
    Column("service", String(64), nullable=False),
    Column("hook", String(64), nullable=False),
    Column("hook_instance", String(255), nullable=False),
    Column("patient_hash", String(64), nullable=False),
    Column("encounter_hash", String(64)),
    Column("version", String(32), nullable=False),
    Column("duration_ms", Float, nullable=False),
    Column("record", JSON, nullable=False),  # categories, rules, withheld cards, knowledge
    Index("decision_at", "at"),
    Index("decision_patient", "patient_hash", "at"),
)

card = Table(
    "card",
    metadata,
    Column("uuid", String(36), primary_key=True),
    Column("decision", String(36), ForeignKey("decision.id"), nullable=False, index=True),
    Column("topic", String(128)),
    Column("indicator", String(16), nullable=False),
    Column("suggestions", JSON, nullable=False),  # their uuids
)

feedback = Table(
    "feedback",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("card", String(255), nullable=False, index=True),
    Column("service", String(64), nullable=False),
    Column("known_card", Boolean, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("accepted", JSON, nullable=False),
    Column("reason_system", String(255), nullable=False),
    Column("reason_code", String(255), nullable=False),
    Column("had_comment", Boolean, nullable=False),
    Column("outcome_at", DateTime(timezone=True), nullable=False),
    Column("received_at", DateTime(timezone=True), nullable=False),
    # A repeated message changes nothing.
    UniqueConstraint(
        "card", "outcome", "outcome_at", "reason_system", "reason_code", name="feedback_once"
    ),
)
