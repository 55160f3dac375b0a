"""The tables of the database.

Names have up to 3,071 bytes (:rfc:`7622#section-3.1`) and keys of plugins any number, more than an
index of PostgreSQL takes; so what is looked up is looked up by its :func:`digest`, and the text
stands beside it. ``owner`` is the digest of the account (or other name) a row belongs to. No row
refers to an account by a foreign key: what a name owns may be there without an account.
"""

from hashlib import sha256

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

# Ordered by code point, as Python does and SQLite, not by the language of the database.
_Ordered = Text().with_variant(Text(collation="C"), "postgresql")
_Id = BigInteger().with_variant(Integer, "sqlite")


def digest(text: str) -> bytes:
    """What a text of any length is looked up by."""
    return sha256(text.encode()).digest()


def _digest_column(name: str, *, primary_key: bool = True) -> Column[bytes]:
    return Column(name, LargeBinary, primary_key=primary_key, nullable=False)


accounts = Table(
    "accounts",
    metadata,
    _digest_column("owner"),
    Column("account", _Ordered, nullable=False),
    _digest_column("domain", primary_key=False),
    Column("created", Double, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("locked_until", Double, nullable=False),
    Index(None, "domain", "account"),
)

scram_keys = Table(
    "scram_keys",
    metadata,
    _digest_column("owner"),
    Column("hash", Text, primary_key=True),
    Column("salt", LargeBinary, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

# Names of accounts that were removed; the key is a text of JSON, written by xmppd.store.rows.
former_accounts = Table(
    "former_accounts",
    metadata,
    _digest_column("owner"),
    Column("until", Double, nullable=False),
    Column("key", Text),
    Index(None, "until"),
    sqlite_with_rowid=False,
)

roster_versions = Table(
    "roster_versions",
    metadata,
    _digest_column("owner"),
    Column("version", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

roster_items = Table(
    "roster_items",
    metadata,
    _digest_column("owner"),
    _digest_column("contact"),
    Column("jid", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("groups", Text, nullable=False),
    Column("subscription", Text, nullable=False),
    Column("ask", Boolean, nullable=False),
    Column("pending_in", LargeBinary),
    Column("approved", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

# How much an owner keeps; triggers of the database see to it. The share is b"messages" or b"items"
# for all of them; or what a message has for its sender, or its sender's domain.
usage = Table(
    "usage",
    metadata,
    _digest_column("owner"),
    Column("share", LargeBinary, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# An id is never given twice: whoever forgets a message late must not hit another one.
offline_messages = Table(
    "offline_messages",
    metadata,
    Column("id", _Id, primary_key=True, autoincrement=True),
    _digest_column("owner", primary_key=False),
    Column("stored", Double, nullable=False),
    Column("size", Integer, nullable=False),
    Column("stanza", LargeBinary, nullable=False),
    Column("sender", LargeBinary),
    Column("sender_domain", LargeBinary),
    Column("session", LargeBinary),
    Column("position", BigInteger),
    Index(None, "owner", "id"),
    sqlite_autoincrement=True,
)

last_presences = Table(
    "last_presences",
    metadata,
    _digest_column("owner"),
    Column("seen", Double, nullable=False),
    Column("status", Text),
    sqlite_with_rowid=False,
)

# The tokens are texts of JSON, written by xmppd.store.rows.
devices = Table(
    "devices",
    metadata,
    _digest_column("owner"),
    _digest_column("device"),
    Column("id", _Ordered, nullable=False),
    Column("software", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("first_seen", Double, nullable=False),
    Column("last_seen", Double, nullable=False),
    Column("current_token", Text),
    Column("new_token", Text),
    Column("spent_tokens", Text),
    sqlite_with_rowid=False,
)

items = Table(
    "items",
    metadata,
    _digest_column("owner"),
    _digest_column("space"),
    _digest_column("item"),
    Column("namespace", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("value", LargeBinary, nullable=False),
)

shared_groups = Table(
    "shared_groups",
    metadata,
    _digest_column("id"),
    Column("name", _Ordered, nullable=False),
    Column("display_name", Text, nullable=False),
    Column("visible_to", Text, nullable=False),
    Column("groups", Text, nullable=False),
)

shared_group_members = Table(
    "shared_group_members",
    metadata,
    _digest_column("shared_group"),
    _digest_column("owner"),
    Column("account", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Index(None, "owner"),
    sqlite_with_rowid=False,
)

sessions = Table(
    "sessions",
    metadata,
    _digest_column("key"),
    _digest_column("owner", primary_key=False),
    Column("account", Text, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "owner"),
)

# As with offline messages, a number is never given twice.
held_messages = Table(
    "held_messages",
    metadata,
    Column("number", _Id, primary_key=True, autoincrement=True),
    _digest_column("owner", primary_key=False),
    Column("account", Text, nullable=False),
    Column("session", LargeBinary, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("came", Double, nullable=False),
    Column("stanza", LargeBinary, nullable=False),
    Index(None, "owner"),
    sqlite_autoincrement=True,
)

# Records that could not be read. The fields are a map in MessagePack, by column of the table they
# were in; the digest of all of it keeps a record from being set aside twice.
quarantine = Table(
    "quarantine",
    metadata,
    Column("number", _Id, primary_key=True, autoincrement=True),
    _digest_column("owner", primary_key=False),
    _digest_column("digest", primary_key=False),
    Column("kind", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Double, nullable=False),
    Column("size", Integer, nullable=False),
    Column("fields", LargeBinary, nullable=False),
    Index(None, "owner"),
    Index("uq_quarantine_digest", "digest", unique=True),
    sqlite_autoincrement=True,
)

__all__ = [
    "accounts",
    "devices",
    "digest",
    "former_accounts",
    "held_messages",
    "items",
    "last_presences",
    "metadata",
    "offline_messages",
    "quarantine",
    "roster_items",
    "roster_versions",
    "scram_keys",
    "sessions",
    "shared_group_members",
    "shared_groups",
    "usage",
]
