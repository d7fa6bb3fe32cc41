"""What a card rested on, sealed: to tell new evidence from what was shown before."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("card", sa.Column("rests_on", sa.JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("card", "rests_on")
