"""UnreadMessages: follows the messages of all accounts, and counts what they have not read."""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.host.locks import Locks
from xmppd.message.follower import Course, Follower, Remark, Sought
from xmppd.message.worth import DISPLAYED, fate
from xmppd.stanza import JID
from xmppd.stanza.fate import UnreadFate
from xmppd.store.errors import StoreError
from xmppd.store.gathered import GatheredWrites
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.entries import ArchiveEntry, Selection
from xmppd_plugins.archive.retractions import is_called
from xmppd_plugins.archive.routed import read_back
from xmppd_plugins.archive.tail import Accepted

from .entries import InboxEntries, Moved

MAX_MARKED = 10_000
"""Conversations of which markers wait to be looked at; those of others are not looked at."""

MAX_MARKERS = 10
"""Of one conversation."""

PER_TURN = 100
SEARCHED = (20, *(PER_TURN,) * 5)
"""Messages of a conversation among which that is looked for which somebody has read, by turns."""

MAX_COUNTED = 1_000
"""Unread messages that are counted behind it."""

_log = Logger()


class UnreadMessages(Follower):
    """Moves conversations on with each message, and up to what was read (UN-2 to UN-4).

    Args:
        archive: Gives messages their positions; a message that is not archived is in no
            conversation.
        conversations: In the store.
        clock: The reactor's.
        next_turn: Waits for the next turn of the reactor.
    """

    of_all = True

    def __init__(
        self,
        archive: Archive,
        conversations: InboxEntries,
        clock: IReactorTime,
        next_turn: Callable[[], Awaitable[None]],
    ) -> None:
        self.archive = archive
        self.conversations = conversations
        self.next_turn = next_turn
        self.moved = GatheredWrites(
            conversations.note, Moved, "how many messages are unread in some conversations", clock
        )
        self._locks = Locks()
        self._markers: dict[tuple[str, str], deque[str]] = {}

    def follow(self, course: Course) -> None:
        payload, account = course.message.payload, course.account
        accepted = payload.archived
        if payload.again or not isinstance(accepted, Accepted):
            return
        sent, number = course.is_sent, self.archive.ids.number(account)
        if (accepted.sent if sent else accepted.received) != number:
            return  # it is not in this account's archive
        peer = accepted.to if sent else accepted.sender
        unread = course.fate.unread
        own = sent or course.message.sender.bare == account
        speaks = unread is UnreadFate.MORE
        self.moved.of((account, peer)).by(accepted.position, speaks=speaks, own=own)
        if own and unread is UnreadFate.READ:
            found = course.tree.find(DISPLAYED)
            id = "" if found is None else found.get("id", "")
            self._note_marker(account, peer, id)

    def _note_marker(self, account: str, peer: str, id: str) -> None:
        """Note a marker, which is looked at behind others of its account; of those of a
        conversation that wait for that only the last ones count.
        """
        key = account, peer
        waiting = self._markers.get(key)
        if waiting is not None:
            waiting.append(id)
        elif len(self._markers) < MAX_MARKED:
            self._markers[key] = deque((id,), MAX_MARKERS)
            self._start(self._displayed(account, peer))

    # -- what was read -----------------------------------------------------------------------------

    async def of(self, account: str) -> int:
        """The number of messages that an account has not read."""
        async with self._locks.held(account):  # what it has said that it has read is counted
            await self.moved.flush()
            return (await self.conversations.totals(account)).all_unread

    async def _displayed(self, account: str, peer: str) -> None:
        """Take the markers of a conversation: the account has read up to the messages that they
        name.
        """
        async with self._locks.held(account):
            for id in self._markers.pop((account, peer)):
                position = await self._find(account, peer, id)
                if position is not None:
                    await self._read(account, peer, position)

    async def read(self, account: str, peer: str, position: int) -> None:
        """Note that an account has read a conversation up to a position, if it had not before."""
        async with self._locks.held(account):
            await self._read(account, peer, position)

    async def _find(
        self, account: str, peer: str, id: str, *, known_only: bool = False
    ) -> int | None:
        """The position of the message to which its sender has given an id, among the last ones of a
        conversation; if it is not found, that of the last one (UN-4), or None if only it will do.
        None if there is none.
        """
        last: int | None = None
        bare = JID.prepared(peer).bare
        selection = Selection(peer=peer)
        for limit in SEARCHED:
            found = await self.archive.entries.page(account, selection, limit, backwards=True)
            for entry in found:
                if not entry.is_sent:
                    last = last or entry.position
                    if id and is_called(entry.stanza or b"", id, bare):
                        return entry.position
            if len(found) < limit:
                break
            selection = Selection(peer=peer, before=found[-1].position)
            await self.next_turn()
        return None if known_only else last

    async def _read(self, account: str, peer: str, position: int) -> None:
        await self.moved.flush()
        counted, unread = position, 0
        while unread < MAX_COUNTED:
            selection = Selection(after=counted, peer=peer)
            found = await self.archive.entries.page(account, selection, PER_TURN)
            received = [entry for entry in found if not entry.is_sent]
            unread += sum(map(_counts, received))
            if received:
                counted = received[-1].position
            if len(found) < PER_TURN:
                break
            counted = found[-1].position
            await self.next_turn()
        unread = min(unread, MAX_COUNTED)
        await self.conversations.read(account, peer, position, counted=counted, unread=unread)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        Deferred.fromCoroutine(work).addErrback(_failed)

    async def locate(self, sought: Sought) -> Sequence[Remark]:
        owner, peer = sought.to.bare, sought.sender.bare
        position = await self._find(owner, peer, sought.id, known_only=True)
        row = await self.conversations.one(owner, peer)
        if position is None or row is None:
            return ()
        if position <= row.displayed:
            return [Remark("read", f"{owner} has read the message", "UN-3")]
        return [Remark("unread", f"{owner} has not read the message", "UN-3")]

    async def explain(self, course: Course) -> Sequence[Remark]:
        own = course.is_sent or course.message.sender.bare == course.account
        if own or course.fate.unread is not UnreadFate.MORE or not course.fate.archive:
            return ()
        return [Remark("counted", f"the message counts as unread for {course.account}", "UN-2")]


def _counts(entry: ArchiveEntry) -> bool:
    """Whether a message counts as unread until it was read."""
    try:
        return fate(read_back(entry.stanza or b"")).unread is UnreadFate.MORE
    except (ValueError, KeyError):
        return False


def _failed(failure: Failure) -> None:
    """Log a bug; failures of the store were logged."""
    if not failure.check(StoreError):
        _log.failure("which messages were read could not be recorded", failure)


__all__ = ["UnreadMessages"]
