"""Jobs, so that whoever asks for one gets an answer when its node is gone."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"

_ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Those of before were gone with their node."""
    op.create_table(
        "jobs",
        sa.Column("id", _ordered, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("node", sa.Text, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("replies", sa.BigInteger, nullable=False),
        sa.Column("said", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_jobs"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_jobs_since", "jobs", ["since"])
