"""Readings, so that the graphs of the console go on after a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"

_ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Those of before were gone with their process."""
    op.create_table(
        "readings",
        sa.Column("node", _ordered, nullable=False),
        sa.Column("place", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.Column("counted", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("node", "place", name="pk_readings"),
        sqlite_with_rowid=False,
    )
