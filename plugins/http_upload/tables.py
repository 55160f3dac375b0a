"""The tables of uploads, and their statements."""

from xmppd.store.accounts import accounts
from xmppd.store.sql import (
    NAMES,
    BigInteger,
    Column,
    Double,
    Index,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    func,
    insert_if_absent,
    or_,
    select,
    update,
)

metadata = MetaData(naming_convention=NAMES)

# The account is not called owner: with the row of a removed account its file would be forgotten.
files = Table(
    "http_upload",
    metadata,
    Column("id", LargeBinary, primary_key=True),
    Column("account", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("began", Double, nullable=False),
    Column("stored", Double),
    Column("expires", Double),
    Index(None, "account", "began"),
    Index(None, "expires"),
    Index(None, "stored", "began"),
    sqlite_with_rowid=False,
)
keys = Table(
    "http_upload_keys",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

_IS_IT = files.c.id == bindparam("file")
_OF_ACCOUNT = files.c.account == bindparam("account_")

ADD = insert_if_absent(files)
FINISH = update(files).where(_IS_IT).values(stored=bindparam("now"))
REMOVE = delete(files).where(_IS_IT)
FILE: Select[str, str, int, float | None, float | None] = select(
    files.c.name, files.c.type, files.c.size, files.c.stored, files.c.expires
).where(_IS_IT)
_BYTES = func.coalesce(func.sum(files.c.size), 0)
ALL: Select[int, int] = select(_BYTES, func.count()).where(_OF_ACCOUNT)
EVERYTHING: Select[int] = select(_BYTES).where(files.c.stored.is_not(None))
LATELY: Select[int, int, float] = select(
    _BYTES, func.count(), func.coalesce(func.min(files.c.began), 0.0)
).where(_OF_ACCOUNT, files.c.began > bindparam("since"))
OVER: Select[bytes] = (
    select(files.c.id)
    .where(
        or_(
            files.c.expires <= bindparam("now"),
            and_(files.c.stored.is_(None), files.c.began < bindparam("began_before")),
        )
    )
    .limit(bindparam("limit"))
)
END_ALL = update(files).where(_OF_ACCOUNT).values(expires=0.0)
WHOSE: Select[str] = (
    select(files.c.account)
    .where(files.c.account > bindparam("after"))
    .distinct()
    .order_by(files.c.account)
    .limit(bindparam("limit"))
)
THERE: Select[bytes] = select(accounts.c.owner).where(
    accounts.c.owner.in_(bindparam("owners", expanding=True))
)
LIST: Select[bytes, str, str, int, float, float | None] = (
    select(files.c.id, files.c.name, files.c.type, files.c.size, files.c.began, files.c.expires)
    .where(_OF_ACCOUNT, files.c.stored.is_not(None))
    .order_by(files.c.began)
)
KEY: Select[bytes] = select(keys.c.value).where(keys.c.name == "slots")
KEEP_KEY = insert_if_absent(keys)

__all__ = [
    "ADD",
    "ALL",
    "END_ALL",
    "EVERYTHING",
    "FILE",
    "FINISH",
    "KEEP_KEY",
    "KEY",
    "LATELY",
    "LIST",
    "OVER",
    "REMOVE",
    "THERE",
    "WHOSE",
    "files",
    "metadata",
]
