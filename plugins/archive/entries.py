"""Entries of archives: what is in the database and what is still in memory, as one.

::

    page = await entries.page("juliet@capulet.lit", Selection(peer="romeo@montague.lit"), 50)
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from twisted.internet.defer import Deferred, gatherResults

from xmppd.store.sql import Database

from .ids import MAX_POSITION, ArchiveIds
from .tables import (
    ASCENDING,
    ASCENDING_OF_PEER,
    AT,
    BEGINS,
    COUNT,
    COUNT_OF_PEER,
    DESCENDING,
    DESCENDING_OF_PEER,
    FLAGS,
    GROUPCHAT,
    POSITIONS,
    POSITIONS_OF_PEER,
    SENT,
    SPEAKS,
    SUMS,
    TOMBSTONE,
    peer_of,
)
from .tail import Accepted, Tail


class ArchiveEntry(NamedTuple):
    """A message in an archive.

    Attributes:
        position: Its place there, in the order of time; its id is made of it.
        flags: As they are in the table.
        stanza: The message as it was routed: with ``from``, with ``to``, and
            without ids of ours. None if it is missing.
    """

    position: int
    flags: int
    stanza: bytes | None

    @property
    def is_sent(self) -> bool:
        """Whether the owner of the archive has sent it."""
        return bool(self.flags & SENT)

    @property
    def is_groupchat(self) -> bool:
        """Whether it is of type groupchat."""
        return bool(self.flags & GROUPCHAT)

    @property
    def is_tombstone(self) -> bool:
        """Whether its content was retracted."""
        return bool(self.flags & TOMBSTONE)

    @property
    def speaks(self) -> bool:
        """Whether it was said in a room, and says something."""
        return _speaks(self.flags)


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of an archive.

    Attributes:
        after: Only positions above this one.
        before: Only positions below this one.
        peer: Only messages from or to this bare JID; a full one for private messages in rooms.
            Digests are compared: of two peers in some 2^32 both may be found.
    """

    after: int = -1
    before: int = MAX_POSITION + 1
    peer: str | None = None


ALL = Selection()
COUNTED_PER_TURN = 10_000
"""Entries: some 1.5 ms."""
POSITION = attrgetter("position")


class ArchiveEntries:
    """Reads archives; whose they are is said by the bare JID of the owner.

    What was accepted a moment ago is in memory and is read first: so nothing is missed that is
    being written meanwhile (QU-12).

    Args:
        database: Has the tables.
        tail: The newest messages.
        ids: Know the numbers of archives.
    """

    def __init__(self, database: Database, tail: Tail, ids: ArchiveIds) -> None:
        self.database = database
        self.tail = tail
        self.ids = ids

    async def page(
        self, owner: str, selection: Selection, limit: int, *, backwards: bool = False
    ) -> list[ArchiveEntry]:
        """Entries of an archive.

        Args:
            owner: Bare JID.
            selection: Which of them.
            limit: So many at most.
            backwards: Whether those at the end, the newest first; else those at the beginning, the
                oldest first.

        Raises:
            StoreError: The database cannot be read.
        """
        archive = self.ids.number(owner)
        newest = self._newest(archive, selection)  # first: what is written meanwhile is in both
        newest = newest[-limit:] if backwards else newest[:limit]
        found = {each.position: _entry(each, archive) for each in newest}
        begins = await self._begins(archive)
        if begins is None:
            rows: Sequence[tuple[int, int, bytes | None]] = ()
        else:
            peer = selection.peer
            ascending, descending = ASCENDING, DESCENDING
            if peer is not None:
                ascending, descending = ASCENDING_OF_PEER, DESCENDING_OF_PEER
            rows = await self.database.read(
                descending if backwards else ascending,
                {
                    "archive": archive,
                    "after": max(selection.after, begins - 1),
                    "before": _bound(selection.before),
                    "limit": limit,
                    **({} if peer is None else {"peer": peer_of(peer)}),
                },
            )
        for row in rows:
            found.setdefault(row[0], ArchiveEntry(*row))
        return [found[position] for position in sorted(found, reverse=backwards)[:limit]]

    async def first(self, owner: str) -> ArchiveEntry | None:
        """The oldest entry of an archive; None if it is empty."""
        found = await self.page(owner, ALL, 1)
        return found[0] if found else None

    async def last(self, owner: str) -> ArchiveEntry | None:
        """The newest entry of an archive; None if it is empty."""
        found = await self.page(owner, ALL, 1, backwards=True)
        return found[0] if found else None

    async def at(self, owner: str, positions: Iterable[int]) -> list[ArchiveEntry]:
        """The entries at some positions of an archive, in their order; those that there are."""
        archive, wanted = self.ids.number(owner), set(positions)
        found = {
            each.position: _entry(each, archive)
            for each in self.tail.of(archive)
            if each.position in wanted
        }
        begins = await self._begins(archive)
        missing = wanted.difference(found)
        if begins is not None and missing:
            for row in await gatherResults(
                [
                    Deferred.fromCoroutine(self._at(archive, position))
                    for position in missing
                    if position >= begins
                ]
            ):
                if row is not None:
                    found[row.position] = row
        return [found[position] for position in sorted(found)]

    async def count(
        self, owner: str, selection: Selection, next_turn: Callable[[], Awaitable[None]]
    ) -> int:
        """The number of entries, counted some in each turn of the reactor (QU-15)."""
        archive, peer = self.ids.number(owner), selection.peer
        newest = {message.position for message in self._newest(archive, selection)}
        begins = await self._begins(archive)
        if begins is None:
            return len(newest)
        until = min(newest, default=selection.before)
        wanted: dict[str, object] = {"archive": archive, "after": max(selection.after, begins - 1)}
        if peer is not None:
            wanted["peer"] = peer_of(peer)
        stored = 0
        counting = COUNT if peer is None else COUNT_OF_PEER
        some = {**wanted, "before": _bound(until), "limit": COUNTED_PER_TURN}
        while True:
            [(number, last)] = await self.database.read(counting, some)
            stored += number
            if number < COUNTED_PER_TURN:
                break
            some["after"] = last
            await next_turn()
        if newest:  # some may be in both: they are being written
            among = POSITIONS if peer is None else POSITIONS_OF_PEER
            wanted |= {"after": max(until, begins) - 1, "before": _bound(selection.before)}
            rows = await self.database.read(among, {**wanted, "limit": self.tail.max_messages})
            newest.update(position for (position,) in rows)
        return stored + len(newest)

    async def count_speaking(self, owner: str, after: int, most: int) -> int:
        """The number of messages that say something in the archive of a room.

        Args:
            owner: Bare JID of the room.
            after: Only those behind this position.
            most: So many entries at most are looked at.
        """
        archive = self.ids.number(owner)
        newest = self._newest(archive, Selection(after=after))[:most]
        found = {each.position: each.flags for each in newest}
        begins = await self._begins(archive)
        if begins is not None:
            wanted = {"archive": archive, "after": max(after, begins - 1), "limit": most}
            rows = await self.database.read(FLAGS, {**wanted, "before": MAX_POSITION})
            found.update(rows)
        return sum(_speaks(found[position]) for position in sorted(found)[:most])

    async def sums(self, owner: str) -> tuple[int, int]:
        """The number and the bytes of what is written in an archive; some seconds old."""
        found = await self.database.read(SUMS, {"archive": self.ids.number(owner)})
        return (found[0][0], found[0][1]) if found else (0, 0)

    async def begins(self, owner: str) -> int:
        """The position with which an archive begins; of one that has nothing, behind all."""
        begins = await self._begins(self.ids.number(owner))
        return MAX_POSITION if begins is None else begins

    # -- of which they are made -------------------------------------------------------------------

    def _newest(self, archive: int, selection: Selection) -> list[Accepted]:
        """Those that are in memory, in their order."""
        after, before, peer = selection.after, selection.before, selection.peer
        found = [each for each in self.tail.of(archive) if after < each.position < before]
        if peer is not None:
            found = [each for each in found if each.peer_in(archive) == peer]
        return sorted(found, key=POSITION)

    async def _begins(self, archive: int) -> int | None:
        """The first position that is in an archive; None if the database does not know it."""
        found = await self.database.read(BEGINS, {"archive": archive})
        return found[0][0] if found else None

    async def _at(self, archive: int, position: int) -> ArchiveEntry | None:
        found = await self.database.read(AT, {"archive": archive, "position": position})
        return ArchiveEntry(*found[0]) if found else None


def _entry(message: Accepted, archive: int) -> ArchiveEntry:
    return ArchiveEntry(message.position, message.flags_in(archive), message.wire)


def _speaks(flags: int) -> bool:
    return flags & (SPEAKS | TOMBSTONE) == SPEAKS


def _bound(position: int) -> int:
    """A bound that the database's numbers have room for."""
    return min(position, MAX_POSITION)


__all__ = ["ALL", "ArchiveEntries", "ArchiveEntry", "Selection"]
