"""The tables of accounts that are to end, and of links for a new password; their statements."""

from xmppd.store.sql import (
    NAMES,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    digest_column,
    select,
    upsert,
)

metadata = MetaData(naming_convention=NAMES)

endings = Table(
    "account_endings",
    metadata,
    digest_column("owner"),
    Column("account", Text, nullable=False),
    Column("due", Double, nullable=False),
    Index(None, "due"),
    sqlite_with_rowid=False,
)
resets = Table(
    "account_resets",
    metadata,
    digest_column("owner"),
    Column("account", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("expires", Double, nullable=False),
    Index("uq_account_resets_digest", "digest", unique=True),
    sqlite_with_rowid=False,
)

_OWNED = endings.c.owner == bindparam("whose")
END = upsert(endings)
STAY = delete(endings).where(_OWNED)
DUE_AT: Select[float] = select(endings.c.due).where(_OWNED)
DUE: Select[str] = (
    select(endings.c.account)
    .where(endings.c.due <= bindparam("now"))
    .order_by(endings.c.due)
    .limit(bindparam("limit"))
)
ALL: Select[str, float] = (
    select(endings.c.account, endings.c.due).order_by(endings.c.due).limit(bindparam("limit"))
)
_IS_IT = resets.c.digest == bindparam("which")
RESET = upsert(resets)
WHOSE: Select[str, float] = select(resets.c.account, resets.c.expires).where(_IS_IT)
USE = delete(resets).where(_IS_IT, resets.c.expires > bindparam("now"))
FORGET = delete(resets).where(resets.c.expires <= bindparam("now"))

__all__ = [
    "ALL",
    "DUE",
    "DUE_AT",
    "END",
    "FORGET",
    "RESET",
    "STAY",
    "USE",
    "WHOSE",
    "endings",
    "metadata",
    "resets",
]
