"""Aliases can be protected; remarks can be tags and descriptions."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Three columns; what was there before is unprotected, not forced, and a remark."""
    with op.batch_alter_table("promotion") as table:
        for name in ("is_protected", "is_forced"):
            table.add_column(sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("remark") as table:
        table.add_column(sa.Column("kind", sa.String(), nullable=False, server_default="remark"))
