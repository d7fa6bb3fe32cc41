"""Decisions, cards, feedback."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

CATEGORIES = ("b12_category", "sarcopenia_category")  # until version 0004


def upgrade() -> None:
    op.create_table(
        "decision",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tenant", sa.String(64), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("hook", sa.String(64), nullable=False),
        sa.Column("hook_instance", sa.String(255), nullable=False),
        sa.Column("patient_hash", sa.String(64), nullable=False),
        sa.Column("encounter_hash", sa.String(64)),
        sa.Column("version", sa.String(32), nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("duration_ms", sa.Float, nullable=False),
        *(sa.Column(name, sa.String(32)) for name in CATEGORIES),
        sa.Column("tier", sa.String(8)),
        sa.Column("prefetch", sa.JSON, nullable=False),
        sa.Column("record", sa.JSON, nullable=False),
    )
    op.create_index("decision_at", "decision", ["at"])
    op.create_index("decision_patient", "decision", ["patient_hash", "at"])
    op.create_table(
        "card",
        sa.Column("uuid", sa.String(36), primary_key=True),
        sa.Column("decision", sa.String(36), sa.ForeignKey("decision.id"), nullable=False),
        sa.Column("topic_system", sa.String(255)),
        sa.Column("topic", sa.String(128)),
        sa.Column("indicator", sa.String(16), nullable=False),
        sa.Column("suggestions", sa.JSON, nullable=False),
    )
    op.create_index("ix_card_decision", "card", ["decision"])
    op.create_table(
        "feedback",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("card", sa.String(255), nullable=False),
        sa.Column("service", sa.String(64), nullable=False),
        sa.Column("known_card", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.String(16), nullable=False),
        sa.Column("accepted", sa.JSON, nullable=False),
        sa.Column("reason_system", sa.String(255), nullable=False),
        sa.Column("reason_code", sa.String(255), nullable=False),
        sa.Column("had_comment", sa.Boolean, nullable=False),
        sa.Column("outcome_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint(
            "card", "outcome", "outcome_at", "reason_system", "reason_code", name="feedback_once"
        ),
    )
    op.create_index("ix_feedback_card", "feedback", ["card"])


def downgrade() -> None:
    op.drop_table("feedback")
    op.drop_table("card")
    op.drop_table("decision")
