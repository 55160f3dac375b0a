"""Several nodes on one database: whose rows are whose, and who has had what lives only once."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

_ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """There was one node, whose rows name none."""
    op.add_column(
        "sessions", sa.Column("node", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    op.add_column(
        "held_messages", sa.Column("node", sa.Text, nullable=False, server_default=sa.text("''"))
    )
    op.add_column("offline_messages", sa.Column("holder", _ordered))
    op.create_index(
        "ix_offline_messages_holder",
        "offline_messages",
        ["holder"],
        sqlite_where=sa.text("holder IS NOT NULL"),
        postgresql_where=sa.text("holder IS NOT NULL"),
    )
    op.create_table(
        "claim_tokens",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("thing", sa.LargeBinary, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("token", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("kind", "thing", name="pk_claim_tokens"),
        sqlite_with_rowid=False,
    )
