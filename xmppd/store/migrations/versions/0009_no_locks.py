"""Accounts are not locked any more: nothing has locked one since guessing is slowed down."""

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Whoever was locked may log in."""
    op.drop_column("accounts", "locked_until")
