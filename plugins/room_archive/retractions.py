"""RoomRetractions: what was taken back in a room leaves a tombstone in its archive."""

from twisted.internet.defer import Deferred

from xmppd.stanza import Message, Tree, qname
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.entries import ArchiveEntry
from xmppd_plugins.archive.ids import microseconds_of
from xmppd_plugins.archive.retractions import MAX_SEARCHES, RETRACT, failed, tombstone
from xmppd_plugins.archive.routed import author_in, read_back
from xmppd_plugins.muc.names import OCCUPANT_ID
from xmppd_plugins.muc.room import Room

_RETRACT = qname(RETRACT, "retract")
_OCCUPANT_ID = qname(OCCUPANT_ID, "occupant-id")


class RoomRetractions:
    """Leaves tombstones in the archives of rooms. Messages are named by the ids that the room has
    given them, and so are found at once.

    Args:
        archive: Has them.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self._under_way = 0

    def note(self, room: Room, said: Message, position: int) -> None:
        """Note what is said in a room: it may take back what its author has said before.

        Args:
            room: Where.
            said: With the id of its occupant.
            position: Its own, in the archive.
        """
        tree = said.payload.tree
        retract = tree.find(_RETRACT)
        if retract is None or self._under_way >= MAX_SEARCHES:
            return
        self._under_way += 1
        work = Deferred.fromCoroutine(self._take_back(room, said, retract.get("id", ""), position))
        work.addErrback(failed).addBoth(self._done)

    def _done(self, _: object) -> None:
        self._under_way -= 1

    async def _take_back(self, room: Room, said: Message, id: str, position: int) -> None:
        entry = await self.find(room, id)
        if entry is not None and not entry.is_tombstone and _is_of(entry, said.payload.tree):
            await self.bury(room, entry, said.id or "", position)

    async def find(self, room: Room, id: str) -> ArchiveEntry | None:
        """What a room has given an id; None if it has not, or does not have it any more.

        Raises:
            StoreError: The archive cannot be read.
        """
        position = self.archive.position_of(room.jid.full, id)
        if position is None:
            return None
        found = await self.archive.entries.at(room.jid.full, (position,))
        return found[0] if found and found[0].stanza is not None else None

    async def bury(
        self, room: Room, entry: ArchiveEntry, retraction: str, position: int, more: bytes = b""
    ) -> None:
        """Leave a tombstone of something.

        Args:
            room: Where it was said.
            entry: It.
            retraction: The id of the message that takes it back.
            position: Of that, whose time it is.
            more: What is said of that, as elements.

        Raises:
            StoreError: It could not be written.
        """
        stanza, seconds = entry.stanza or b"", microseconds_of(position) // 1_000_000
        made = tombstone(stanza, retraction, seconds, more, author_in(stanza))
        await self.archive.bury(room.jid.full, entry.position, made)
        room.history.forget(self.archive.id_of(room.jid.full, entry.position))


def _is_of(entry: ArchiveEntry, retraction: Tree) -> bool:
    """Whether something was said by the occupant who takes it back (RM-43)."""
    try:
        said = read_back(entry.stanza or b"").payload.tree
    except (ValueError, KeyError):
        return False
    author, occupant = said.find(_OCCUPANT_ID), retraction.find(_OCCUPANT_ID)
    return author is not None and occupant is not None and author.get("id") == occupant.get("id")


__all__ = ["RoomRetractions"]
