"""Messages are known by their origin to several nodes, so that each is stored once."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"

_ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """What was stored before has none."""
    op.add_column(
        "held_messages", sa.Column("origin", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    op.add_column("offline_messages", sa.Column("origin", _ordered))
    op.create_index(
        "uq_offline_messages_origin",
        "offline_messages",
        ["owner", "origin"],
        unique=True,
        sqlite_where=sa.text("origin IS NOT NULL"),
        postgresql_where=sa.text("origin IS NOT NULL"),
    )
