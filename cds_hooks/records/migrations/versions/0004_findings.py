"""Findings by topic, in a table of their own, in place of a column for each topic."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

SUFFIX = "_category"  # of each such column; what stands before it is the topic


def upgrade() -> None:
    finding = op.create_table(
        "finding",
        sa.Column("decision", sa.String(36), sa.ForeignKey("decision.id"), primary_key=True),
        sa.Column("topic", sa.String(64), primary_key=True),
        sa.Column("category", sa.String(32), nullable=True),
        sqlite_with_rowid=False,
    )
    for name in _columns():
        # Nulls too: the chain of the audit has bound them.
        old: Any = sa.select(
            sa.column("id"), sa.literal(name.removesuffix(SUFFIX)), sa.column(name)
        ).select_from(sa.table("decision"))
        op.execute(finding.insert().from_select(["decision", "topic", "category"], old))
        op.drop_column("decision", name)


def downgrade() -> None:
    """Topics that have no column in version 0003 are lost."""
    finding = sa.table("finding", *map(sa.column, ("decision", "topic", "category")))
    for name in _columns():
        op.add_column("decision", sa.Column(name, sa.String(32), nullable=True))
        decision = sa.table("decision", sa.column("id"), sa.column(name))
        category = (
            sa.select(finding.c.category)
            .where(finding.c.decision == decision.c.id)
            .where(finding.c.topic == name.removesuffix(SUFFIX))
            .scalar_subquery()
        )
        op.execute(decision.update().values({name: category}))
    op.drop_table("finding")


def _columns() -> tuple[str, ...]:
    """The columns of categories that the first version made."""
    script = op.get_context().script
    assert script is not None  # noqa: S101  # migrations run from their folder
    first = script.get_revision("0001")
    columns: tuple[str, ...] = first.module.CATEGORIES
    return columns
