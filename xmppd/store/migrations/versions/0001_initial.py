"""Accounts, rosters, messages, last presences and items."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_id = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """From an empty database."""
    op.create_table(
        "accounts",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("account", _ordered, nullable=False),
        sa.Column("domain", sa.LargeBinary, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("locked_until", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_accounts"),
    )
    op.create_index("ix_accounts_domain_account", "accounts", ["domain", "account"])
    op.create_table(
        "scram_keys",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.Column("salt", sa.LargeBinary, nullable=False),
        sa.Column("iterations", sa.Integer, nullable=False),
        sa.Column("stored_key", sa.LargeBinary, nullable=False),
        sa.Column("server_key", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "hash", name="pk_scram_keys"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "roster_versions",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_roster_versions"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "roster_items",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("contact", sa.LargeBinary, nullable=False),
        sa.Column("jid", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.Column("subscription", sa.Text, nullable=False),
        sa.Column("ask", sa.Boolean, nullable=False),
        sa.Column("pending_in", sa.LargeBinary),
        sa.Column("approved", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("owner", "contact", name="pk_roster_items"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "offline_messages",
        sa.Column("id", _id, autoincrement=True, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("stored", sa.Double, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("stanza", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_offline_messages"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_offline_messages_owner_id", "offline_messages", ["owner", "id"])
    op.create_table(
        "last_presences",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
        sa.Column("status", sa.Text),
        sa.PrimaryKeyConstraint("owner", name="pk_last_presences"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "items",
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("space", sa.LargeBinary, nullable=False),
        sa.Column("item", sa.LargeBinary, nullable=False),
        sa.Column("namespace", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("owner", "space", "item", name="pk_items"),
    )
    op.create_table(
        "shared_groups",
        sa.Column("id", sa.LargeBinary, nullable=False),
        sa.Column("name", _ordered, nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("visible_to", sa.Text, nullable=False),
        sa.Column("groups", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_shared_groups"),
    )
    op.create_table(
        "shared_group_members",
        sa.Column("shared_group", sa.LargeBinary, nullable=False),
        sa.Column("owner", sa.LargeBinary, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("shared_group", "owner", name="pk_shared_group_members"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_shared_group_members_owner", "shared_group_members", ["owner"])
