"""RoomReading: up to where accounts have read the rooms that they follow."""

from collections.abc import Coroutine
from typing import Any

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.events import Events
from xmppd.host.locks import Locks
from xmppd.message.unread_counts import UnreadCounts
from xmppd.message.worth import DISPLAYED, fate_in_room
from xmppd.nodes.plugin_messages import PluginMessages
from xmppd.stanza import JID
from xmppd.stanza.fate import UnreadFate
from xmppd.store.errors import StoreError
from xmppd_plugins.archive.entries import Selection
from xmppd_plugins.inbox.unread import UnreadMessages
from xmppd_plugins.muc.news import ReadRoom
from xmppd_plugins.muc.talk import SaidToAll

from .table import FollowerTable

FLUSH_S = 0.1
MAX_WAITING = 20_000
"""Positions that wait to be written, while the database does not take them; others are not
noted then."""

_log = Logger()


class RoomWasRead(Struct, frozen=True):
    """An account has seen what was said in a room, for all nodes.

    Attributes:
        room: Bare JID of the room.
        account: That of the account.
    """

    room: str
    account: str


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
        self.clock = clock
        self._waiting: dict[tuple[str, str], int] = {}
        self._shown: set[str] = set()
        self._flushing: IDelayedCall | None = None
        self._locks = Locks()

    def said(self, event: SaidToAll) -> None:
        """Note that who says something, or sends a marker, has read what was before it."""
        room, account = event.room, event.author.bare
        if account not in room.followers:
            return
        last = self.archive.positions.last
        marker = event.tree.find(DISPLAYED)
        if marker is not None:
            position = self.archive.position_of(room.jid.full, marker.get("id", ""))
            self._shown.add(account)
            self._note(room.jid.full, account, last if position is None else min(position, last))
        elif fate_in_room(event.tree).unread is UnreadFate.MORE:
            self._note(room.jid.full, account, last)

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
        await self.flush()
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

    def _note(self, room: str, account: str, position: int) -> None:
        key = room, account
        if key in self._waiting or len(self._waiting) < MAX_WAITING:
            self._waiting[key] = max(position, self._waiting.get(key, 0))
        self._flush_soon()
        self.events.fire(ReadRoom(room, account))

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = self.clock.callLater(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        self._start(self.flush())

    async def flush(self) -> None:
        """Write what was noted until now.

        Raises:
            StoreError: It cannot be written; it is kept for the next time.
        """
        async with self._locks.held(None):
            if not self._waiting:
                return
            writing, self._waiting = self._waiting, {}
            shown, self._shown = self._shown, set()
            try:
                await self._write(writing)
            except StoreError:
                self._shown |= shown
                for key, position in writing.items():
                    self._waiting[key] = max(position, self._waiting.get(key, 0))
                self._flush_soon()
                raise
        for account in shown:
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

    async def close(self) -> None:
        """Write what waits."""
        self._flush_no_more()
        try:
            await self.flush()
        except StoreError as error:
            _log.error("it is not noted what was read in some rooms: {error}", error=error)
            self._flush_no_more()

    def _flush_no_more(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(_failed)


def _failed(failure: Failure) -> None:
    """Log a bug; failures of the store were logged."""
    if not failure.check(StoreError):
        _log.failure("what was read in rooms could not be noted", failure)


__all__ = ["FLUSH_S", "RoomReading", "RoomWasRead"]
