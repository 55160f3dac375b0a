"""Tokens that have ended and are still known to have been given."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing is known of those that ended before."""
    op.add_column("devices", sa.Column("spent_tokens", sa.Text))
