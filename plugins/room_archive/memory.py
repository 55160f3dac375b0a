"""RoomArchive: keeps what is said in rooms, each room's in the archive of its bare JID."""

from functools import lru_cache

from xmppd.host.clocks import Clocks
from xmppd.stanza import JID, Later, Message
from xmppd_plugins.archive.archive import Archive, Settle
from xmppd_plugins.archive.entries import ArchiveEntry, Selection
from xmppd_plugins.archive.ids import first_at, microseconds_of
from xmppd_plugins.archive.retractions import TAKES_BACK
from xmppd_plugins.archive.routed import without_author
from xmppd_plugins.muc.effects import RoomItem, user
from xmppd_plugins.muc.memory import Remembered, RoomMemory, is_subject, with_id
from xmppd_plugins.muc.ranks import RoomStanding
from xmppd_plugins.muc.room import Room

from .retractions import RoomRetractions

MAX_AUTHORS = 4_096
"""People in rooms of whom it is remembered how they are written."""

RECALLED = 100
"""Messages that are read when a room comes into memory."""


class RoomArchive(RoomMemory):
    """Remembers what is said: the id that all hear is its id in the archive, and its position there
    is its place in the order of the room (RM-46).

    Args:
        clocks: Tell the time.
        archive: Keeps it, with who has said it behind all else.
        retractions: Look at what takes something back.
        keeps_destroyed: Whether what was said in a room that was destroyed stays: then a new one of
            its name begins behind that.
    """

    def __init__(
        self,
        clocks: Clocks,
        archive: Archive,
        retractions: RoomRetractions,
        *,
        keeps_destroyed: bool = False,
    ) -> None:
        super().__init__(clocks)
        self.keeps_destroyed = keeps_destroyed
        self.archive = archive
        self.retractions = retractions

    def has(self, room: Room) -> bool:
        """Whether a room has an archive."""
        return room.config.mam and room.config.persistentroom

    def begins(self, room: Room) -> int:
        """The position at which the archive of a room begins: what is before is of another one."""
        return first_at(int(room.created * 1_000_000)) if self.keeps_destroyed else 0

    def space(self) -> Later:
        return self.archive.room()

    def keep(self, room: Room, said: Message, author: JID, *, speaks: bool) -> Remembered:
        if not self.has(room) or self.archive.is_paused:
            return self.give(room)
        if said.sender.resource is None:  # it is of the room itself
            return self._remembered(room, self.archive.take(room.jid, said, author, speaks=speaks))
        kept = said.with_child(_authored(room.standing(author), author))
        position = self.archive.take(room.jid, kept, author, speaks=speaks)
        if TAKES_BACK in said.payload.raw:
            self.retractions.note(room, said, position)
        return self._remembered(room, position)

    def give(self, room: Room) -> Remembered:
        return self._remembered(room, self.archive.positions.next())

    def id_at(self, room: Room, position: int) -> str:
        """The id that a room has given what is at a position of its archive."""
        return self.archive.id_of(room.jid.full, position)

    def _remembered(self, room: Room, position: int) -> Remembered:
        return Remembered(self.id_at(room, position), microseconds_of(position))

    async def recall(self, room: Room) -> None:
        if not self.has(room):
            return
        own = Selection(after=self.begins(room) - 1)
        found = await self.archive.entries.page(room.jid.full, own, RECALLED, backwards=True)
        for entry in reversed(found):
            said = None if entry.is_tombstone else _said(entry)
            if said is not None:
                id, microseconds = self._remembered(room, entry.position)
                most = room.config.maxhistoryfetch
                given = with_id(said, room.jid, id)
                room.history.add(given, id, microseconds, most)

    async def forget(self, room: JID) -> None:
        await self.archive.forget(room.full)

    async def settle(self, room: JID) -> None:
        await self.archive.settle(Settle(room.full))


@lru_cache(MAX_AUTHORS)
def _authored(standing: RoomStanding, author: JID) -> bytes:
    """Who has said something, as it is kept with that."""
    return user(RoomItem(standing.affiliation, standing.role).xml(author))


def _said(entry: ArchiveEntry) -> Message | None:
    """An entry as it was told; None of what is not shown to who enters, or is damaged."""
    try:
        said = Message.from_bytes(without_author(entry.stanza or b""))
    except ValueError:
        return None
    return None if is_subject(said.payload.tree) else said


__all__ = ["RoomArchive"]
