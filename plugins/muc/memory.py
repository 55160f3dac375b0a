"""RoomMemory: what rooms remember of what is said in them."""

from secrets import token_hex
from typing import NamedTuple

from xmppd.host.clocks import Clocks
from xmppd.message.worth import fate_in_room
from xmppd.stanza import JID, Later, Message, Tree
from xmppd.stanza.fate import UnreadFate

from .names import STANZA_ID
from .room import Room

ID_BYTES = 16
_STANZA_ID = b"<stanza-id xmlns='%b' by='%%b' id='%%b'/>" % STANZA_ID.encode()


class Remembered(NamedTuple):
    """What a room gives a message that is said there.

    Attributes:
        id: By which it is found again.
        microseconds: When it was said, since 1970.
    """

    id: str
    microseconds: int


class RoomMemory:
    """Gives what is said its id (:xep:`0359`), and remembers the last of it for who enters.

    This one keeps nothing that outlives a room in memory. A plugin that does puts another one into
    its place, :attr:`~xmppd_plugins.muc.rooms.Rooms.memory`.

    Args:
        clocks: Tell the time.
    """

    def __init__(self, clocks: Clocks) -> None:
        self.clocks = clocks

    def space(self) -> Later:
        """Wait until something more can be kept; None if it can.

        Raises:
            StoreError: Not in time; nothing is said then.
        """
        return None

    async def recall(self, room: Room) -> None:
        """Read what was said last in a room that comes into memory."""

    def keep(self, room: Room, said: Message, author: JID, *, speaks: bool) -> Remembered:
        """Keep something that is about to be told.

        Args:
            room: Where it is said.
            said: As it is told, to nobody yet and without an id.
            author: The full JID of who has said it; that of the room itself, if nobody has.
            speaks: Whether it says something, so that it is unread for who has not seen it.

        Raises:
            StoreError: It cannot be kept, and so is not told either.
        """
        return Remembered(token_hex(ID_BYTES), int(self.clocks.wall_clock() * 1_000_000))

    def give(self, room: Room) -> Remembered:
        """What something is given that is not worth keeping."""
        return Remembered(token_hex(ID_BYTES), int(self.clocks.wall_clock() * 1_000_000))

    async def forget(self, room: JID) -> None:
        """Forget all that was said in a room, since there is none of this address any more, or a
        new one.
        """

    async def settle(self, room: JID) -> None:
        """Write what was said in a room, since another node has it from now on."""

    def remember(self, room: Room, said: Message, author: JID, tree: Tree) -> Message:
        """What is about to be said, with its id; worth keeping or not, it has one.

        Args:
            room: Where it is said.
            said: To nobody yet.
            author: The full JID of who says it.
            tree: Of the message, to look at.

        Raises:
            StoreError: It cannot be kept, and so is not told either.
        """
        fate = fate_in_room(tree)
        if fate.archive:
            speaks = fate.unread is UnreadFate.MORE
            id, microseconds = self.keep(room, said, author, speaks=speaks)
        else:
            id, microseconds = self.give(room)
        given = with_id(said, room.jid, id)
        if fate.archive and not is_subject(tree):
            most = room.config.maxhistoryfetch
            room.history.add(given, id, microseconds, most)
        return given


def with_id(said: Message, room: JID, id: str) -> Message:
    """Something that is said, with the id that the room gives it."""
    return said.with_child(_STANZA_ID % (room.wire, id.encode()))


def is_subject(tree: Tree) -> bool:
    """Whether a message changes the subject: with a text or thread it is one as any (RM-51)."""
    tags = {child.tag for child in tree}
    return "subject" in tags and "body" not in tags and "thread" not in tags


__all__ = ["Remembered", "RoomMemory", "is_subject", "with_id"]
