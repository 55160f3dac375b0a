"""Quarantine: records that could not be read, set aside for an administrator (QT-1)."""

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import starmap

from msgspec import msgpack
from sqlalchemy import (
    Column,
    Connection,
    Delete,
    Double,
    Index,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from xmppd.store.columns import NUMBER, OWNER, InsertByDialect, digest, digest_column, metadata
from xmppd.store.database import Database
from xmppd.store.readable import Quarantined

MAX_QUARANTINED = 10_000
"""Records; with more the oldest are forgotten."""

MAX_QUARANTINED_BYTES = 64 << 20
"""The same for the bytes of all of them."""

# The fields are a map in MessagePack, by column of the table they were in; the digest of all of it
# keeps a record from being set aside twice.
quarantine = Table(
    "quarantine",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    digest_column("owner", primary_key=False),
    digest_column("digest", primary_key=False),
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

_entry = (
    quarantine.c.number,
    quarantine.c.kind,
    quarantine.c.account,
    quarantine.c.name,
    quarantine.c.reason,
    quarantine.c.since,
    quarantine.c.size,
)
_PAGE: Select[int, str, str, str, str, float, int] = (
    select(*_entry)
    .where(quarantine.c.number > bindparam("after"))
    .order_by(quarantine.c.number)
    .limit(bindparam("limit"))
)
_PAGE_OF: Select[int, str, str, str, str, float, int] = _PAGE.where(quarantine.c.owner == OWNER)
_FIELDS: Select[bytes] = select(quarantine.c.fields).where(
    quarantine.c.number == bindparam("number")
)
_USE: Select[int, int] = select(
    func.count(), func.coalesce(func.sum(quarantine.c.size), 0)
).select_from(quarantine)
_SIZES: Select[int, int] = select(quarantine.c.number, quarantine.c.size).order_by(
    quarantine.c.number
)
_ADD = InsertByDialect(
    *(
        dialect.insert(quarantine)
        .on_conflict_do_nothing(index_elements=[quarantine.c.digest])
        .returning(quarantine.c.number)
        for dialect in (sqlite, postgresql)
    )
)
_FORGET: Delete = delete(quarantine).where(quarantine.c.number == bindparam("entry"))


class QuarantineStore:
    """The records that were set aside.

    Args:
        database: Keeps them.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def quarantined(
        self, *, account: str = "", after: int = 0, limit: int = 1000
    ) -> list[Quarantined]:
        """The records, by number, a page at a time; of one account, or of all."""
        page: dict[str, object] = {"after": after, "limit": limit}
        if account:
            page["owner"] = digest(account)
        query = _PAGE_OF if account else _PAGE
        return list(starmap(Quarantined, await self._database.read(query, page)))

    async def quarantined_fields(self, number: int) -> dict[str, object] | None:
        """A record that was set aside, field by field; None if there is none of this number."""
        found = await self._database.read(_FIELDS, {"number": number})
        return msgpack.decode(found[0][0], type=dict[str, object]) if found else None

    async def forget_quarantined(self, numbers: Sequence[int]) -> int:
        """Delete records for good; returns their number."""
        return await self._database.write(partial(_forget, numbers=tuple(numbers)))

    async def count_quarantined(self) -> int:
        """The number of records."""
        return (await self._database.read(_USE, {}))[0][0]


def add(connection: Connection, row: Mapping[str, object]) -> int | None:
    """Keep a record; returns its number, or None if it is there already."""
    number: int | None = connection.execute(_ADD.on(connection), row).scalar()
    return number


def make_room(connection: Connection) -> None:
    """Delete the oldest records for which there is no more room."""
    count, size = connection.execute(_USE).one()
    if count <= MAX_QUARANTINED and size <= MAX_QUARANTINED_BYTES:
        return
    gone = []
    for number, size_bytes in connection.execute(_SIZES).tuples():
        if count <= MAX_QUARANTINED and size <= MAX_QUARANTINED_BYTES:
            break
        gone.append({"entry": number})
        count, size = count - 1, size - size_bytes
    connection.execute(_FORGET, gone)


def _forget(connection: Connection, numbers: Sequence[int]) -> int:
    return sum(connection.execute(_FORGET, {"entry": number}).rowcount for number in numbers)


__all__ = ["MAX_QUARANTINED", "MAX_QUARANTINED_BYTES", "QuarantineStore", "add", "make_room"]
