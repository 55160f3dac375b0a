"""Expiry: what is too old, or more than an archive may have, goes, and so do rows of nobody.

First the archive begins later, so that what is before is gone at once and without holes (AR-13);
then its rows are deleted, some in each transaction.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol

from twisted.internet.defer import DeferredLock

from xmppd.store.sql import (
    Connection,
    Database,
    Delete,
    Select,
    Update,
    bindparam,
    delete,
    exists,
    func,
    or_,
    select,
    update,
)

from .ids import MAX_POSITION, first_at
from .settings import ArchiveSettings
from .tables import archives, entries, peer_of, stanzas

ROWS_PER_SLICE = 5_000
ARCHIVES_PER_SLICE = 200
DAY_US = 86_400 * 1_000_000

_TOO_LARGE: Select[int, int, int, int] = (
    select(archives.c.number, archives.c.begins, archives.c.entries, archives.c.bytes)
    .where(
        archives.c.number > bindparam("after"),
        or_(archives.c.entries > bindparam("entries"), archives.c.bytes > bindparam("bytes")),
    )
    .order_by(archives.c.number)
    .limit(1)
)
_OLDEST: Select[int, int | None] = (
    select(entries.c.position, func.length(stanzas.c.stanza))
    .select_from(entries.outerjoin(stanzas, entries.c.position == stanzas.c.position))
    .where(entries.c.archive == bindparam("archive"), entries.c.position >= bindparam("begins"))
    .order_by(entries.c.position)
    .limit(ROWS_PER_SLICE)
)
_BEFORE: Select[int, int | None] = (
    select(entries.c.position, func.length(stanzas.c.stanza))
    .select_from(entries.outerjoin(stanzas, entries.c.position == stanzas.c.position))
    .where(entries.c.archive == bindparam("archive"), entries.c.position < bindparam("begins"))
    .order_by(entries.c.position)
    .limit(ROWS_PER_SLICE)
)
_NEXT: Select[int] = (
    select(entries.c.archive)
    .where(entries.c.archive > bindparam("after"))
    .order_by(entries.c.archive)
    .limit(1)
)
_BEGINS: Select[int] = select(archives.c.begins).where(archives.c.number == bindparam("archive"))
_BEGIN: Update = (
    update(archives)
    .where(archives.c.number == bindparam("archive"), archives.c.begins < bindparam("begin_at"))
    .values(begins=bindparam("begin_at"))
)
_BEGIN_ALL: Update = (
    update(archives)
    .where(archives.c.begins < bindparam("begin_at"))
    .values(begins=bindparam("begin_at"))
)
_DELETE_ENTRIES: Delete = delete(entries).where(
    entries.c.archive == bindparam("of"), entries.c.position <= bindparam("to")
)
_OF_PEER = (
    select(entries.c.position, func.length(stanzas.c.stanza))
    .select_from(entries.outerjoin(stanzas, entries.c.position == stanzas.c.position))
    .where(
        entries.c.archive == bindparam("archive"),
        entries.c.peer == bindparam("peer"),
        entries.c.position < bindparam("begins"),
    )
    .order_by(entries.c.position)
    .limit(ROWS_PER_SLICE)
)
_DELETE_OF_PEER = _DELETE_ENTRIES.where(entries.c.peer == bindparam("from_peer"))
_SUBTRACT: Update = (
    update(archives)
    .where(archives.c.number == bindparam("number_of"))
    .values(
        entries=archives.c.entries - bindparam("count"), bytes=archives.c.bytes - bindparam("size")
    )
)
_STANZAS: Select[int] = (
    select(stanzas.c.position)
    .where(stanzas.c.position > bindparam("after"), stanzas.c.position < bindparam("before"))
    .order_by(stanzas.c.position)
    .limit(ROWS_PER_SLICE)
)
_DELETE_STANZAS: Delete = delete(stanzas).where(
    stanzas.c.position > bindparam("after"),
    stanzas.c.position <= bindparam("to"),
    ~exists().where(entries.c.archive == stanzas.c.sent, entries.c.position == stanzas.c.position),
    ~exists().where(
        entries.c.archive == stanzas.c.received, entries.c.position == stanzas.c.position
    ),
)


class Progress(NamedTuple):
    """How far some work has come that is done in slices.

    Attributes:
        after: Where it goes on.
        deleted: The number of entries that were.
        is_done: Whether there is nothing more to do.
    """

    after: int = 0
    deleted: int = 0
    is_done: bool = False


class Slice(Protocol):
    """A slice of some work, in a transaction."""

    def __call__(self, connection: Connection, so_far: Progress) -> Progress:
        """Do it."""


class Expiry:
    """Deletes what no archive has to keep any longer.

    Args:
        database: Has the tables.
        now: Tells the time in seconds since 1970.
        settled: Tells the position below which every stanza has its entries.
        next_turn: Waits until others have had their turn.
        settings: The limits.

    Attributes:
        behind: Each is called when entries have been deleted, with the position below which every
            message that is in an archive has its entry there.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        settled: Callable[[], int],
        next_turn: Callable[[], Awaitable[None]],
        settings: ArchiveSettings,
    ) -> None:
        self.database = database
        self.now = now
        self.settled = settled
        self.next_turn = next_turn
        self.settings = settings
        self.behind: list[Callable[[int], Awaitable[None]]] = []
        self._lock = DeferredLock()

    def use(self, settings: ArchiveSettings) -> None:
        """Take other limits."""
        self.settings = settings

    async def expire(self) -> int:
        """Delete all that is to go by the settings, and all that is of nobody.

        Returns:
            The number of entries that were deleted.

        Raises:
            StoreError: The database cannot be written; the rest goes the next time.
        """
        async with self._lock:
            limits = self.settings
            if limits.max_age_days:
                begin_at = first_at(int(self.now() * 1_000_000) - limits.max_age_days * DAY_US)
                await self.database.write(partial(_begin_all, begin_at=begin_at))
            if limits.max_messages or limits.max_bytes:
                most = limits.max_messages or MAX_POSITION, limits.max_bytes or MAX_POSITION
                await self._in_slices(partial(_shorten, most=most))
            count = await self._in_slices(_delete_entries)
            await self._finish()
            return count

    async def delete(self, archive: int, before: int, peer: str | None = None) -> int:
        """Delete entries of one archive.

        Args:
            archive: Its number.
            before: Only those before this position.
            peer: Only those from or to this bare JID.

        Returns:
            Their number.

        Raises:
            StoreError: The database cannot be written.
        """
        async with self._lock:
            of_peer = None if peer is None else peer_of(peer)
            count = await self._in_slices(
                partial(_delete_some, archive=archive, before=before, peer=of_peer)
            )
            await self._finish()
            return count

    async def _finish(self) -> None:
        """Delete what nobody has an entry of any more, and have others do so."""
        settled = self.settled()
        await self._in_slices(partial(_delete_stanzas, before=settled))
        for each in self.behind:
            await each(settled)

    async def _in_slices(self, step: Slice) -> int:
        """Do some work, a slice in each transaction; returns the entries it deleted."""
        progress = Progress()
        while not progress.is_done:
            progress = await self.database.write(partial(step, so_far=progress))
            await self.next_turn()
        return progress.deleted


def _begin_all(connection: Connection, begin_at: int) -> None:
    connection.execute(_BEGIN_ALL, {"begin_at": begin_at})


def _shorten(connection: Connection, so_far: Progress, most: tuple[int, int]) -> Progress:
    """Let the next archive that has too much begin later."""
    wanted = {"after": so_far.after, "entries": most[0], "bytes": most[1]}
    found = connection.execute(_TOO_LARGE, wanted).one_or_none()
    if found is None:
        return so_far._replace(is_done=True)
    number, begins, count, size = found
    more_entries, more_bytes = count - most[0], size - most[1]
    while more_entries > 0 or more_bytes > 0:
        oldest = connection.execute(_OLDEST, {"archive": number, "begins": begins}).all()
        for position, length in oldest:
            if more_entries <= 0 and more_bytes <= 0:
                break
            begins, more_entries = position + 1, more_entries - 1
            more_bytes -= length or 0
        if not oldest:
            break  # the sums are wrong, and there is nothing more
    connection.execute(_BEGIN, {"archive": number, "begin_at": begins})
    return so_far._replace(after=number)


def _delete_entries(connection: Connection, so_far: Progress) -> Progress:
    """Delete entries before the beginning of their archives, and those of archives that are
    gone.
    """
    after, count = so_far.after, so_far.deleted
    for _ in range(ARCHIVES_PER_SLICE):
        number = connection.execute(_NEXT, {"after": after}).scalar_one_or_none()
        if number is None:
            return Progress(after, count, is_done=True)
        begins = connection.execute(_BEGINS, {"archive": number}).scalar_one_or_none()
        until = MAX_POSITION if begins is None else begins
        deleted = _delete(connection, number, until, None)
        count += deleted
        if deleted == ROWS_PER_SLICE:
            return Progress(number - 1, count)
        after = number
    return Progress(after, count)


def _delete_some(
    connection: Connection, so_far: Progress, archive: int, before: int, peer: bytes | None
) -> Progress:
    deleted = _delete(connection, archive, before, peer)
    return Progress(0, so_far.deleted + deleted, is_done=deleted < ROWS_PER_SLICE)


def _delete(connection: Connection, archive: int, before: int, peer: bytes | None) -> int:
    """Delete the oldest entries of an archive, as many as a slice has; returns their number."""
    wanted: dict[str, object] = {"archive": archive, "begins": before}
    if peer is not None:
        wanted["peer"] = peer
    rows = connection.execute(_BEFORE if peer is None else _OF_PEER, wanted).all()
    if not rows:
        return 0
    last = {"of": archive, "to": rows[-1][0]}
    if peer is None:
        connection.execute(_DELETE_ENTRIES, last)
    else:
        connection.execute(_DELETE_OF_PEER, {**last, "from_peer": peer})
    size = sum(length or 0 for _, length in rows)
    connection.execute(_SUBTRACT, {"number_of": archive, "count": len(rows), "size": size})
    return len(rows)


def _delete_stanzas(connection: Connection, so_far: Progress, before: int) -> Progress:
    """Delete stanzas without entries."""
    wanted = {"after": so_far.after, "before": before}
    positions: Sequence[int] = connection.execute(_STANZAS, wanted).scalars().all()
    if not positions:
        return so_far._replace(is_done=True)
    last = positions[-1]
    connection.execute(_DELETE_STANZAS, {"after": so_far.after, "to": last})
    return Progress(last, so_far.deleted)


__all__ = ["ROWS_PER_SLICE", "Expiry", "Progress", "Slice"]
