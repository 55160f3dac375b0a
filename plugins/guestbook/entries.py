"""Entries: the table of what was written in guestbooks."""

from collections.abc import Sequence
from dataclasses import dataclass

from xmppd.stanza import JID
from xmppd.store.claim_tokens import raise_token
from xmppd.store.errors import QuotaExceeded
from xmppd.store.sql import (
    NAMES,
    NUMBER,
    Column,
    Connection,
    Database,
    Double,
    Index,
    MetaData,
    Select,
    Table,
    Text,
    bindparam,
    delete,
    digest,
    digest_column,
    func,
    insert,
    lock_owner,
    select,
)

KIND = "guestbook"
"""Of things that live once: each book does."""

LATEST = 2**53
"""A number above those of all entries."""

metadata = MetaData(naming_convention=NAMES)
guestbook = Table(
    "guestbook",
    metadata,
    Column("number", NUMBER, primary_key=True, autoincrement=True),
    digest_column("owner", primary_key=False),
    Column("guest", Text, nullable=False),
    Column("signed", Double, nullable=False),
    Column("words", Text, nullable=False),
    Index(None, "owner", "number"),
    Index(None, "signed"),
    sqlite_autoincrement=True,
)

_OWNED = guestbook.c.owner == bindparam("owner")
_COUNT: Select[int] = select(func.count()).select_from(guestbook).where(_OWNED)
_PAGE: Select[int, str, float, str] = (
    select(guestbook.c.number, guestbook.c.guest, guestbook.c.signed, guestbook.c.words)
    .where(_OWNED, guestbook.c.number < bindparam("before"))
    .order_by(guestbook.c.number.desc())
    .limit(bindparam("limit"))
)
_ADD = insert(guestbook).returning(guestbook.c.number)
_ERASE_ALL = delete(guestbook).where(_OWNED)
_ERASE = _ERASE_ALL.where(guestbook.c.number == bindparam("entry"))
_FADE = delete(guestbook).where(guestbook.c.signed < bindparam("before"))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of a book.

    Attributes:
        number: It rises, and is never given twice.
        guest: The bare JID of its author; a domain, if the administrators have signed.
        signed: Seconds since 1970.
        words: Those that were written.
    """

    number: int
    guest: str
    signed: float
    words: str


class Entries:
    """The entries of all books.

    Args:
        database: Keeps them, in a table that the plugin has brought.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    async def add(
        self,
        owner: JID,
        guest: JID,
        words: str,
        signed: float,
        *,
        max_entries: int,
        token: int = 0,
    ) -> Entry:
        """Write an entry in the book of an account.

        Args:
            owner: That account.
            guest: Who writes.
            words: What they write.
            signed: Seconds since 1970.
            max_entries: The most that the book holds.
            token: Of the node that has the book.

        Raises:
            QuotaExceeded: The book is full.
            Deposed: Another node has the book by now.
        """

        def change(connection: Connection) -> int:
            raise_token(connection, KIND, owner.bare, token)
            key = lock_owner(connection, owner.bare)
            if connection.execute(_COUNT, {"owner": key}).scalar_one() >= max_entries:
                raise QuotaExceeded("this guestbook is full")
            row = {"owner": key, "guest": guest.bare, "signed": signed, "words": words}
            number: int = connection.execute(_ADD, row).scalar_one()
            return number

        return Entry(await self.database.write(change), guest.bare, signed, words)

    async def page(self, owner: JID, before: int, limit: int) -> Sequence[Entry]:
        """The latest entries of a book before that of a number, the latest first."""
        wanted = {"owner": digest(owner.bare), "before": before, "limit": limit}
        return [Entry(*row) for row in await self.database.read(_PAGE, wanted)]

    async def erase(self, owner: JID, number: int | None = None) -> int:
        """Erase one entry of a book, or all; returns how many there were."""

        def change(connection: Connection) -> int:
            key = {"owner": digest(owner.bare)}
            if number is None:
                return connection.execute(_ERASE_ALL, key).rowcount
            return connection.execute(_ERASE, {**key, "entry": number}).rowcount

        return await self.database.write(change)

    async def fade(self, before: float) -> None:
        """Erase the entries of all books that were signed before a moment."""

        def change(connection: Connection) -> None:
            connection.execute(_FADE, {"before": before})

        await self.database.write(change)


__all__ = ["KIND", "LATEST", "Entries", "Entry", "guestbook", "metadata"]
