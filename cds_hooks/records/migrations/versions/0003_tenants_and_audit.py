"""Tenants of feedback, comments, tokens that were used, the chain of the audit, keys in use."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ONCE = ["card", "outcome", "outcome_at", "reason_system", "reason_code"]


def upgrade() -> None:
    op.add_column("decision", sa.Column("key_id", sa.String(8), nullable=True))
    with op.batch_alter_table("feedback") as feedback:
        # Before this version there was one tenant.
        tenant = sa.Column("tenant", sa.String(64), nullable=False, server_default="local")
        feedback.add_column(tenant)
        feedback.add_column(sa.Column("comment", sa.Text, nullable=True))
        feedback.drop_constraint("feedback_once", type_="unique")
        feedback.create_unique_constraint("feedback_once", ["tenant", *ONCE])
    op.create_table(
        "seen_token",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("digest", sa.String(48), primary_key=True),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("seen_token_until", "seen_token", ["until"])
    op.create_table(
        "audit",
        sa.Column("tenant", sa.String(64), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("subject", sa.String(255), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("key_id", sa.String(8), nullable=False),
        sa.Column("link", sa.String(64), nullable=False),
    )
    op.create_table(
        "key_used",
        sa.Column("key_id", sa.String(8), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("key_used")
    op.drop_table("audit")
    op.drop_table("seen_token")
    with op.batch_alter_table("feedback") as feedback:
        feedback.drop_constraint("feedback_once", type_="unique")
        feedback.create_unique_constraint("feedback_once", ONCE)
        feedback.drop_column("comment")
        feedback.drop_column("tenant")
    op.drop_column("decision", "key_id")
