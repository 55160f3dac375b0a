"""Devices that log in by tokens."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """There were no tokens before."""
    op.create_table(
        "devices",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("device", sa.LargeBinary, nullable=False),
        sa.Column("id", _ordered, nullable=False),
        sa.Column("software", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("first_seen", sa.Double, nullable=False),
        sa.Column("last_seen", sa.Double, nullable=False),
        sa.Column("current_token", sa.Text),
        sa.Column("new_token", sa.Text),
        sa.PrimaryKeyConstraint("owner", "device", name="pk_devices"),
        sqlite_with_rowid=False,
    )
