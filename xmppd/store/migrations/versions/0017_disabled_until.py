"""Accounts that are disabled until a time."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    """Those that are disabled stay so until somebody enables them."""
    op.add_column("accounts", sa.Column("disabled_until", sa.Double))
