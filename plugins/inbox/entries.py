"""InboxEntries: one row for each account and whom it speaks with (UN-1)."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from xmppd.store.sql import (
    NAMES,
    BigInteger,
    Column,
    ColumnElement,
    Columns,
    Connection,
    Database,
    Delete,
    Index,
    Integer,
    MetaData,
    Prepared,
    Select,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    digest,
    digest_column,
    exists,
    func,
    select,
    update,
    upsert,
)
from xmppd_plugins.archive.tables import archives, entries

MAX_UNREAD = 9_999
MAX_CONVERSATIONS = 5_000
"""Of an account; the oldest make room."""

MAX_KNOWN = 50_000
OWNERS_PER_SLICE = 200
LAST_OF_ALL = 2**63 - 1
"""A position behind all others."""

metadata = MetaData(naming_convention=NAMES)
inbox = Table(
    "inbox",
    metadata,
    digest_column("owner"),
    digest_column("peer"),
    Column("name", Text, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("spoken", BigInteger, nullable=False),
    Column("displayed", BigInteger, nullable=False),
    Column("counted", BigInteger, nullable=False),
    Column("unread", Integer, nullable=False),
    # With what is unread it has all that is counted.
    Index(None, "owner", "last", "unread"),
)
_C = inbox.c
_E = entries.c


def _merged(new: Columns) -> dict[str, ColumnElement[int]]:
    """A conversation with more messages: nothing moves back, and a reply has read all before it.
    What a marker has counted already is not counted again.
    """

    def later(name: str) -> ColumnElement[int]:
        return case((new[name] > _C[name], new[name]), else_=_C[name])

    more = case((_C.unread + new.unread > MAX_UNREAD, MAX_UNREAD), else_=_C.unread + new.unread)
    unread = case(
        (new.displayed > _C.displayed, new.unread),
        (and_(new.displayed == 0, new.last > _C.counted), more),
        else_=_C.unread,
    )
    moved = {name: later(name) for name in ("last", "spoken", "displayed", "counted")}
    return {**moved, "unread": unread}


_NOTE: Prepared[()] = Prepared(upsert(inbox, _merged))
_READ = (
    update(inbox)
    .where(
        _C.owner == bindparam("of_owner"),
        _C.peer == bindparam("of_peer"),
        _C.displayed < bindparam("to"),
    )
    .values(displayed=bindparam("to"), counted=bindparam("up_to"), unread=bindparam("left"))
)
_N = inbox.alias("newer").c
_LAST_KEPT = (
    select(_N.last)
    .where(_N.owner == bindparam("of_owner"))
    .order_by(_N.last.desc())
    .limit(1)
    .offset(MAX_CONVERSATIONS - 1)
)
_DELETE_BEYOND: Delete = delete(inbox).where(
    _C.owner == bindparam("of_owner"), _C.last < _LAST_KEPT.scalar_subquery()
)
# What another node moves on just now is left: it may wait for what is held here.
_GONE = (
    select(_C.peer)
    .where(
        _C.owner == bindparam("of_owner"),
        _C.last < bindparam("settled"),
        ~exists().where(
            archives.c.owner == bindparam("of_owner"),
            _E.archive == archives.c.number,
            _E.position == _C.last,
        ),
    )
    .with_for_update(skip_locked=True)
    .cte("gone")
)
_DELETE_GONE: Delete = delete(inbox).where(
    _C.owner == bindparam("of_owner"), _C.peer.in_(select(_GONE.c.peer))
)
_OWNERS: Select[bytes] = (
    select(_C.owner)
    .where(_C.owner > bindparam("after"))
    .distinct()
    .order_by(_C.owner)
    .limit(OWNERS_PER_SLICE)
)
_WANTED = (
    _C.owner == bindparam("owner"),
    _C.last > bindparam("after"),
    _C.last < bindparam("before"),
    _C.unread >= bindparam("least"),
)
_SHOWN = select(_C.name, _C.last, _C.spoken, _C.displayed, _C.unread).where(*_WANTED)
_LATEST: Select[str, int, int, int, int] = (
    _SHOWN.order_by(_C.last.desc()).limit(bindparam("limit")).offset(bindparam("skipped"))
)
_OLDEST: Select[str, int, int, int, int] = (
    _SHOWN.order_by(_C.last).limit(bindparam("limit")).offset(bindparam("skipped"))
)
_TOTALS: Select[int, int, int] = select(
    func.count(),
    func.coalesce(func.sum(case((_C.unread > 0, 1), else_=0)), 0),
    func.coalesce(func.sum(_C.unread), 0),
).where(_C.owner == bindparam("owner"))
_ONE: Select[str, int, int, int, int] = select(
    _C.name, _C.last, _C.spoken, _C.displayed, _C.unread
).where(_C.owner == bindparam("owner"), _C.peer == bindparam("peer"))


class InboxEntry(NamedTuple):
    """A conversation of an account.

    Attributes:
        name: Bare JID of whom the account speaks with; full, of an occupant of a room.
        last: Position of the last message of it in the account's archive.
        spoken: That of the last one that says something; 0 if none does.
        displayed: That up to which the account has read.
        unread: The number of messages that it has not read.
        archive: Bare JID of who has the archive of these positions, if it is not the account.
    """

    name: str
    last: int
    spoken: int
    displayed: int
    unread: int
    archive: str = ""


class Totals(NamedTuple):
    """What an inbox has as a whole.

    Attributes:
        conversations: Their number.
        unread: The number of those with unread messages.
        all_unread: The number of unread messages.
    """

    conversations: int
    unread: int
    all_unread: int


class Moved:
    """How a conversation was moved on by some messages.

    Attributes:
        last: Position of the last of them.
        spoken: That of the last one that says something; 0 if none does.
        displayed: That of the last one that the account has said itself, and so has read all before
            it; 0 if there is none.
        unread: The number of those behind that, which the account has not read.
    """

    __slots__ = ("displayed", "last", "spoken", "unread")

    def __init__(self) -> None:
        self.last = self.spoken = self.displayed = self.unread = 0

    def by(self, position: int, *, speaks: bool, own: bool) -> None:
        """Move on by one more message.

        Args:
            position: In the account's archive.
            speaks: Whether it says something.
            own: Whether the account has sent it.
        """
        self.last = max(self.last, position)
        if speaks:
            self.spoken = max(self.spoken, position)
            if own:
                self.displayed, self.unread = position, 0
            else:
                self.unread += 1

    def after(self, earlier: "Moved") -> None:
        """Take in what had moved it on before."""
        self.last, self.spoken = max(self.last, earlier.last), max(self.spoken, earlier.spoken)
        if not self.displayed:
            self.displayed, self.unread = earlier.displayed, self.unread + earlier.unread

    def row(self, owner: str, peer: str) -> dict[str, object]:
        """The row of a conversation that there was not before."""
        return {
            "owner": digest(owner),
            "peer": digest(peer),
            "name": peer,
            "last": self.last,
            "spoken": self.spoken,
            "displayed": self.displayed,
            "counted": self.displayed,
            "unread": min(self.unread, MAX_UNREAD),
        }


class InboxEntries:
    """The conversations of all accounts, in the store.

    Args:
        database: Has them, in a table that the plugin has brought.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._known: set[tuple[str, str]] = set()  # for whose account it was seen to have room

    async def note(self, moved: Mapping[tuple[str, str], Moved]) -> None:
        """Move conversations on, each by the bare JID of its account and whom that speaks with."""
        # Whoever writes the same rows does so in the same order, and so waits for nobody who waits.
        rows = [moved[key].row(*key) for key in sorted(moved)]
        more = {owner for owner, _ in moved.keys() - self._known}
        owners = [{"of_owner": digest(owner)} for owner in sorted(more)]

        def change(connection: Connection) -> int:
            _NOTE.on_each(connection, rows)
            return connection.execute(_DELETE_BEYOND, owners).rowcount if owners else 0

        if await self.database.write(change) or len(self._known) > MAX_KNOWN:
            self._known.clear()
        self._known.update(moved)

    async def expire(self, settled: int) -> None:
        """Delete conversations of which nothing is in the archive any more, and what more there are
        of an account than there may be, since several nodes have noted them at once.

        Args:
            settled: The position below which all that is archived has its entries.
        """
        self._known.clear()
        owners = [b""]
        while owners:
            change = partial(_expire, after=owners[-1], settled=settled)
            owners = await self.database.write(change)

    async def read(self, owner: str, peer: str, to: int, *, counted: int, unread: int) -> None:
        """Note up to which position an account has read a conversation; never back (UN-3).

        Args:
            owner: Bare JID of the account.
            peer: Whom it speaks with.
            to: That position.
            counted: The last position that was looked at for the next number.
            unread: The messages behind it that count.
        """
        row = {"of_owner": digest(owner), "of_peer": digest(peer), "to": to}

        def change(connection: Connection) -> None:
            connection.execute(_READ, {**row, "up_to": counted, "left": unread})

        await self.database.write(change)

    async def page(
        self,
        owner: str,
        limit: int,
        *,
        after: int = -1,
        before: int = LAST_OF_ALL,
        skipped: int = 0,
        unread_only: bool = False,
        backwards: bool = False,
    ) -> list[InboxEntry]:
        """Conversations of an account, that with the newest message first.

        Args:
            owner: Bare JID of the account.
            limit: So many at most.
            after: Only those whose last message is behind this position.
            before: Only those whose last message is before this one.
            skipped: Not the first ones of these.
            unread_only: Only those with unread messages.
            backwards: The oldest of these, if there are more; else the newest.
        """
        wanted = {
            "owner": digest(owner),
            "after": after,
            "before": before,
            "least": int(unread_only),
            "limit": limit,
            "skipped": skipped,
        }
        rows = await self.database.read(_OLDEST if backwards else _LATEST, wanted)
        found = [InboxEntry(*row) for row in rows]
        return found[::-1] if backwards else found

    async def one(self, owner: str, peer: str) -> InboxEntry | None:
        """A conversation of an account; None if there is none."""
        rows = await self.database.read(_ONE, {"owner": digest(owner), "peer": digest(peer)})
        return InboxEntry(*rows[0]) if rows else None

    async def totals(self, owner: str) -> Totals:
        """What there is of an account."""
        [row] = await self.database.read(_TOTALS, {"owner": digest(owner)})
        return Totals(*map(int, row))


def _expire(connection: Connection, after: bytes, settled: int) -> list[bytes]:
    """Do that for the next accounts; returns their digests."""
    owners = list(connection.execute(_OWNERS, {"after": after}).scalars())
    if owners:
        rows = [{"of_owner": owner, "settled": settled} for owner in owners]
        connection.execute(_DELETE_GONE, rows)
        connection.execute(_DELETE_BEYOND, rows)
    return owners


__all__ = [
    "LAST_OF_ALL",
    "MAX_CONVERSATIONS",
    "MAX_UNREAD",
    "InboxEntries",
    "InboxEntry",
    "Moved",
    "Totals",
    "inbox",
    "metadata",
]
