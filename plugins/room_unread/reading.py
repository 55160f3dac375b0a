"""RoomReading: up to where accounts have read the rooms that they follow."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.events import Events
from xmppd.message.unread_counts import UnreadCounts
from xmppd.message.worth import DISPLAYED, fate_in_room
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import JID
from xmppd.stanza.fate import UnreadFate
from xmppd.store.errors import StoreError
from xmppd.store.gathered import GatheredWrites
from xmppd_plugins.archive.entries import Selection
from xmppd_plugins.inbox.unread import UnreadMessages
from xmppd_plugins.muc.news import ReadRoom
from xmppd_plugins.muc.talk import SaidToAll

from .table import FollowerTable

_log = Logger()


class RoomWasRead(Struct, frozen=True):
    """An account has seen what was said in a room, for all nodes.

    Attributes:
        room: Bare JID of the room.
        account: That of the account.
    """

    room: str
    account: str


class _Read:
    """How far an account has read a room.

    Attributes:
        position: Of the last message that it has read, in the room's archive.
        shown: Whether it has said so by a marker.
    """

    __slots__ = ("position", "shown")

    def __init__(self) -> None:
        self.position = 0
        self.shown = False

    def to(self, position: int, *, shown: bool) -> None:
        self.position, self.shown = max(self.position, position), self.shown or shown

    def after(self, earlier: "_Read") -> None:
        self.to(earlier.position, shown=earlier.shown)


class RoomReading:
    """Notes what was read in rooms: by what an account says there itself, by markers, and by what
    its clients publish as displayed (RM-81).

    Args:
        table: Keeps it.
        unread: Counts what rooms have sent to the account itself; its archive has what was said.
        counts: Those who want to know that something was read.
        messages: Tell other nodes.
        events: Those who want to know it of a room.
        clock: The reactor's.
    """

    def __init__(
        self,
        table: FollowerTable,
        unread: UnreadMessages,
        counts: UnreadCounts,
        messages: PluginMessages,
        events: Events,
        clock: IReactorTime,
    ) -> None:
        self.table = table
        self.archive = unread.archive
        self.unread = unread
        self.counts = counts
        self.messages = messages
        self.events = events
        self.noted = GatheredWrites(self._write_noted, _Read, "what was read in some rooms", clock)

    def said(self, event: SaidToAll) -> None:
        """Note that who says something, or sends a marker, has read what was before it."""
        room, account = event.room, event.author.bare
        if account not in room.followers:
            return
        last = self.archive.positions.last
        marker = event.tree.find(DISPLAYED)
        if marker is not None:
            position = self.archive.position_of(room.jid.full, marker.get("id", ""))
            position = last if position is None else min(position, last)
            self._note(room.jid.full, account, position, shown=True)
        elif fate_in_room(event.tree).unread is UnreadFate.MORE:
            self._note(room.jid.full, account, last, shown=False)

    async def displayed(self, account: str, room: str, id: str) -> bool:
        """Note that an account has displayed what was said in a room, up to a message.

        Args:
            account: Its bare JID.
            room: That of the room.
            id: Of the message, which the room has given it.

        Returns:
            Whether that is news.

        Raises:
            StoreError: It cannot be noted.
        """
        position = self.archive.position_of(room, id)
        if position is None:
            return False
        await self.noted.flush()
        before = await self.table.displayed(room, account)
        if before is None or before >= position:
            return False
        await self._write({(room, account): position})
        await self.messages.tell_all(JID.prepared(account), RoomWasRead(room, account))
        return True

    def was_read(self, read: RoomWasRead) -> None:
        """Tell those here who want to know it."""
        self.events.fire(ReadRoom(read.room, read.account))

    # -- writing ----------------------------------------------------------------------------------

    def _note(self, room: str, account: str, position: int, *, shown: bool) -> None:
        self.noted.of((room, account)).to(position, shown=shown)
        self.events.fire(ReadRoom(room, account))

    async def _write_noted(self, noted: Mapping[tuple[str, str], _Read]) -> None:
        await self._write({key: read.position for key, read in noted.items()})
        shown = {account for (_, account), read in noted.items() if read.shown}
        # Not waited for, since who is told may ask for what is noted, which waits for this.
        Deferred.fromCoroutine(self._tell(shown)).addErrback(_failed)

    async def _tell(self, accounts: Iterable[str]) -> None:
        for account in accounts:
            await self.counts.has_read(account)

    async def _write(self, positions: dict[tuple[str, str], int]) -> None:
        await self.table.read(positions)
        for (room, account), position in positions.items():
            await self._read_mentions(room, account, position)

    async def _read_mentions(self, room: str, account: str, position: int) -> None:
        """Note that what a room has sent to an account of what was said there is read with that:
        each such message is behind what it tells of, and before what was said next.
        """
        sent = await self.unread.conversations.one(account, room)
        if sent is not None and sent.unread:
            behind = await self.archive.entries.page(room, Selection(after=position), 1)
            until = behind[0].position - 1 if behind else max(sent.last, position)
            await self.unread.read(account, room, until)


def _failed(failure: Failure) -> None:
    """Log a bug; failures of the store were logged."""
    if not failure.check(StoreError):
        _log.failure("which messages in rooms were read could not be announced", failure)


__all__ = ["RoomReading", "RoomWasRead"]
