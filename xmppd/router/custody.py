"""Accepted is safe: what a sender was told is handled is not lost, even if the server is killed."""

from collections.abc import Coroutine, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.auth.guests import is_guest
from xmppd.clocks import Clocks
from xmppd.router.offline_message_strategy import worth_storing
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionClosed, SessionManager
from xmppd.session.sleepers import Sleepers, key_of
from xmppd.session.stream_management import Hold, StreamManagement, Told
from xmppd.stanza import JID, Message, Stanza
from xmppd.stanza.delay import Stamped, Stored, delayed
from xmppd.store.base import HeldMessage, OfflineStore, SessionStore, StoreError

MAX_ARRIVED = 100
"""Messages that are forgotten at the latest when there are so many."""

_NOT_KEPT = ("error", "groupchat", "headline")
_log = Logger()


class Keeper(OfflineStore, SessionStore, Protocol):
    """Where messages are kept."""


class Returning(Protocol):
    """What a PacketRouter has taken back."""

    @property
    def taking_back(self) -> bool:
        """Whether there is any."""

    async def finish(self) -> None:
        """Wait until all of it has found its place."""


@dataclass(frozen=True)
class Unsafe:
    """A message that is nowhere but in the queue of a session.

    Attributes:
        stanza: It.
        management: The session's.
        came: When it came, on the steady clock.
        message: It, as it is written to the store.
    """

    stanza: Message
    management: StreamManagement
    came: float
    message: HeldMessage


class Custody:
    """Messages that are nowhere but in the queues of sessions (RS-10).

    A message to somebody whose client acknowledges is in memory until it has done so. Its sender's
    client may ask what was handled before that: then the message is written to the store first. So
    who asks rarely, and whose recipients acknowledge quickly, costs nothing.

    Args:
        store: Where messages are kept.
        sessions: All that there are.
        sleepers: Those that acknowledge.
        clocks: Say when a message came.
        returning: What sessions had not read when they ended, and has yet to find its place.
    """

    def __init__(
        self,
        store: Keeper,
        sessions: SessionManager,
        sleepers: Sleepers,
        clocks: Clocks,
        returning: Returning,
    ) -> None:
        self.store = store
        self.sessions = sessions
        self.sleepers = sleepers
        self.clocks = clocks
        self.returning = returning
        self._arrived: list[int] = []
        self._ended: list[Hold] = []
        self._recovered: dict[bytes, list[HeldMessage]] = {}

    # -- before a sender is told ------------------------------------------------------------------

    def secure(self, sender: LocalClientSession) -> Coroutine[Deferred[object], None, None] | None:
        """Have in a safe place all messages of this sender that were handled.

        Returns:
            What to wait for until they are; None if they are already.
        """
        management = sender.management
        if management is None:
            return None
        if management.securing is not None or self.returning.taking_back:
            return self._secure_later(sender.jid, management)
        unsafe = list(self._unsafe(sender.jid, management.told))
        told = management.take_told()
        return self._secure(unsafe, told, management) if unsafe else None

    async def _secure_later(self, sender: JID, management: StreamManagement) -> None:
        """What somebody else makes safe is not safe before that is done; and what is on its way
        from one place to another is in neither.
        """
        while management.securing is not None or self.returning.taking_back:
            if management.securing is not None:
                await management.securing
            else:
                await self.returning.finish()
        unsafe = list(self._unsafe(sender, management.told))
        told = management.take_told()
        if unsafe:
            await self._secure(unsafe, told, management)

    async def _secure(self, unsafe: list[Unsafe], told: Told, management: StreamManagement) -> None:
        management.securing = done = Deferred[None]()
        try:
            await self._hold(unsafe)
        except StoreError:
            management.is_unsafe(told)
            raise
        finally:
            management.securing = None
            done.callback(None)

    def _unsafe(self, sender: JID, told: Told) -> Iterator[Unsafe]:
        for session in self._recipients(sender, told):
            theirs = session.management
            if theirs is None or is_guest(session.jid.bare):  # nobody reads it after a restart
                continue
            for position, (stanza, wire, came) in session.unread_since(told.since):
                if stanza.sender.full != sender.full or stanza in theirs.held:
                    continue
                if isinstance(stanza, Message) and _is_kept(stanza):
                    stamp = self.clocks.stamp(came)
                    late = _stamped(stanza, wire, stamp, session.jid.domain)
                    key, bare = theirs.key or b"", session.jid.bare
                    message = HeldMessage(key, position, bare, late, stamp)
                    yield Unsafe(stanza, theirs, came, message)

    def _recipients(self, sender: JID, told: Told) -> Iterable[LocalClientSession]:
        if told.to is None:
            return self.sleepers.managed()
        accounts = {_account(text, sender) for text in told.to}
        return (session for bare in accounts for session in self.sessions.of_account(bare))

    async def _hold(self, unsafe: list[Unsafe]) -> None:
        """Write them down, the oldest first; one that several sessions have only once."""
        holds: dict[Stanza, Hold] = {}
        messages: list[HeldMessage] = []
        unsafe.reverse()  # each session told of the newest first
        for each in sorted(unsafe, key=lambda each: each.came):
            if each.stanza not in holds:
                holds[each.stanza] = Hold()
                messages.append(each.message)
            each.management.held[each.stanza] = holds[each.stanza]
        arrived, self._arrived = self._arrived, []
        try:
            numbers = await self.store.hold_messages(messages, arrived=arrived)
        except StoreError:
            self._arrived += arrived
            for each in unsafe:
                each.management.held.pop(each.stanza, None)
            raise
        for hold, number in zip(holds.values(), numbers, strict=True):
            hold.number = number
            if hold.over:
                self._arrived.append(number)

    # -- afterwards -------------------------------------------------------------------------------

    def arrived(self, management: StreamManagement, stanzas: Iterable[Stanza]) -> None:
        """A client has acknowledged these."""
        for stanza in stanzas:
            hold = management.held.pop(stanza, None)
            if hold is not None:
                self._release(hold)
        if len(self._arrived) >= MAX_ARRIVED:
            self._forget_arrived()

    def closed(self, event: SessionClosed) -> None:
        """What a session had not read is about to find another place."""
        management = event.session.management
        if management is not None:
            self._ended.extend(management.held.values())
            management.held.clear()
            securing = self.secure(event.session)
            if securing is not None:  # its client may still ask what was handled
                Deferred.fromCoroutine(securing).addErrback(_failed)

    def sweep(self) -> None:
        """Forget what has arrived, or found another place."""
        if self._arrived or self._ended:
            self._forget_arrived()

    def _release(self, hold: Hold) -> None:
        if not hold.over:
            hold.over = True
            if hold.number:
                self._arrived.append(hold.number)

    def _forget_arrived(self) -> None:
        Deferred.fromCoroutine(self._forget()).addErrback(_failed)

    async def _forget(self) -> None:
        ended, self._ended = self._ended, []
        await self.returning.finish()
        for hold in ended:
            self._release(hold)
        arrived, self._arrived = self._arrived, []
        if arrived:
            await self.store.hold_messages((), arrived=arrived)

    # -- after the server was killed --------------------------------------------------------------

    async def recover(self) -> None:
        """Make offline messages of what was held when the server was killed."""
        recovered = await self.store.recover_messages()
        for message in recovered:
            self._recovered.setdefault(message.key, []).append(message)
        if recovered:
            _log.info("{count} messages were recovered", count=len(recovered))

    async def forget_received(self, id: str, account: JID, h: int) -> None:
        """A client wants a session that died with the server, and says what it has got of it."""
        key = key_of(id)
        messages = self._recovered.get(key, [])
        if messages and messages[0].account == account.bare:
            del self._recovered[key]
            received = [each.number for each in messages if 0 < each.position <= h]
            await self.store.delete_offline(account.bare, received)


def _is_kept(message: Message) -> bool:
    """Whether it would be kept for somebody who is away, and is not already."""
    if message.type in _NOT_KEPT or isinstance(message.payload, Stored):
        return False
    return worth_storing(message)


def _stamped(message: Message, wire: bytes, stamp: float, domain: str) -> bytes:
    return wire if isinstance(message.payload, Stamped) else delayed(wire, domain, stamp)


def _account(text: str, sender: JID) -> str:
    """Whom a message was for; what is no address was not delivered."""
    try:
        return JID.parse(text).bare if text else sender.bare
    except ValueError:
        return sender.bare


def _failed(failure: Failure) -> None:
    if not failure.check(StoreError):  # which the store has logged
        _log.failure("messages that have arrived cannot be forgotten", failure)
