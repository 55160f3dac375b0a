"""HeldMessages: a message that was acknowledged to its sender is not lost, even if the server is
killed.
"""

from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.membership import Membership
from xmppd.host.clocks import UNKNOWN
from xmppd.host.rounds import Rounds
from xmppd.message.follower import Course, Follower, Followers, Remark
from xmppd.message.worth import fate
from xmppd.session.backlog import Waiting
from xmppd.session.local_client_session import LocalClientSession, stanzas_in
from xmppd.session.resumable_sessions import ResumableSessions, key_of
from xmppd.session.saved_sessions import Lost
from xmppd.session.session_manager import SessionClosed
from xmppd.session.stream_management import WRAP, StreamManagement, Told
from xmppd.stanza import JID, Later, Message, Stanza
from xmppd.stanza.copies import is_copy
from xmppd.stanza.copy_count import Copies
from xmppd.stanza.delay import Kept, Returned, Stamped, Stored, delayed
from xmppd.stanza.fate import OfflineFate
from xmppd.stanza.guests import is_guest
from xmppd.stanza.pulled import Pulled
from xmppd.store.errors import StoreError
from xmppd.store.held import HeldMessage, StanzaPlace
from xmppd.store.store import Store

GAP_S = 0.2
"""The time between two rounds of making messages safe."""

_log = Logger()


class TakesBack(Protocol):
    """The stanzas that a PacketRouter has taken back."""

    @property
    def taking_back(self) -> bool:
        """Whether there is any."""

    def takes_back_from(self, sender: JID) -> bool:
        """Whether stanzas of this sender are among them."""

    async def finish(self, sender: JID | None = None) -> None:
        """Wait until all of them have been routed again; or all of one sender."""


@dataclass(frozen=True)
class Unsafe:
    """A message that is only in the queue of a session.

    Attributes:
        stanza: The message.
        came: The time when it came, on the steady clock.
        message: The message as it is written to the store.
        note: Tells the session its entry in the store.
        forget: Makes the session forget that.
    """

    stanza: Message
    came: float
    message: HeldMessage
    note: Callable[[Kept], None]
    forget: Callable[[], object]


Written = tuple[int, str]
"""Bytes that wait for a client that acknowledges nothing, by their id, and a sender of the stanzas
in them. Bytes that were read once are in it, so that none are read twice.
"""


class HeldMessages(Follower):
    """The messages that are in the store because they are only in the queues of sessions (RS-10).

    A message to a client that acknowledges is in memory until it has done so. Its sender's client
    may ask for an acknowledgement before that: then the message is written to the store first. So a
    client that asks rarely, and whose recipients acknowledge quickly, costs nothing.

    Args:
        store: Keeps held messages, and those that no session has.
        followers: Store what they have to before a sender is told.
        membership: Tells which node this is: each holds what its own sessions have.
        resumable_sessions: The sessions that acknowledge.
        returning: The stanzas of ended sessions that have yet to be routed again.
        clock: The reactor's.

    Attributes:
        ask_others: Has other nodes make a sender's messages safe; raises a StoreError if one does
            not answer.
        origin_of: Gives a message that is about to be held an origin, by which other nodes know it.
    """

    def __init__(
        self,
        store: Store,
        followers: Followers,
        membership: Membership,
        resumable_sessions: ResumableSessions,
        returning: TakesBack,
        clock: IReactorTime,
    ) -> None:
        self.store, self.offline = store.sessions, store.offline
        self.followers = followers
        self.membership = membership
        self.sessions = resumable_sessions.sessions
        self.resumable_sessions = resumable_sessions
        self.clocks = resumable_sessions.clocks
        self.returning = returning
        self._rounds = Rounds(clock, GAP_S)
        self._arrived: list[int] = []
        self._forgetting: list[int] = []
        self._writing: set[Deferred[None]] = set()
        self._waiting: set[Deferred[None]] = set()
        self._written: dict[LocalClientSession, dict[Written, tuple[bytes, list[Kept]]]] = {}
        self._ended: list[tuple[str, dict[Stanza, Kept]]] = []
        self._unread: list[Kept] = []
        self._releasing: set[Deferred[None]] = set()
        self.ask_others: Callable[[JID, Told], Later] = _nobody_else
        self.origin_of: Callable[[Stanza], str] = _needs_none
        resumable_sessions.place = self._place_soon

    @property
    def _node(self) -> str:
        return str(self.membership.id)

    async def explain(self, course: Course) -> Sequence[Remark]:
        """Name the sessions whose acknowledgement it waits for."""
        if course.is_sent or not _is_kept(course.message):
            return ()
        return [
            Remark(
                "held",
                f"the server keeps the message until the client of {session.jid} has "
                "acknowledged it; it is in the database before the sender gets an acknowledgement",
                "RS-10",
            )
            for session in course.got
            if isinstance(session, LocalClientSession) and session.management is not None
        ]

    # -- before a sender is told ------------------------------------------------------------------

    def secure_all(self, sender: LocalClientSession) -> Later:
        """Make all messages of this sender safe that were handled.

        Returns:
            An awaitable until they are, and have been stored by all followers that do; None if all
            that is so already.
        """
        management = sender.management
        kept = self.followers.secure(sender.jid.bare)
        if management is None:
            return kept
        if management.securing is not None or self.returning.takes_back_from(sender.jid):
            return self._secure_later(kept, sender.jid, management)
        told, asking = management.take_told(), None
        if kept is None and not self._may_be_unsafe(sender.jid, told):
            asking = self.ask_others(sender.jid, told)
            if asking is None:
                return None
        return self._secure(kept, sender.jid, management, told, asking)

    async def secured(self, sender: LocalClientSession, securing: Awaitable[None]) -> None:
        """Wait until all messages of a sender are safe that is about to go on elsewhere.

        Args:
            sender: The sender.
            securing: What :meth:`secure_all` gave.

        Raises:
            StoreError: They cannot be made safe, not even at the second attempt: a node that was
                asked may be gone by then.
        """
        try:
            await securing
        except StoreError:
            again = self.secure_all(sender)
            if again is not None:
                await again

    async def _secure_later(self, kept: Later, sender: JID, management: StreamManagement) -> None:
        """Make them safe, after those that are being made safe or routed again now, which are in
        neither place meanwhile.
        """
        with self._unrest():
            while management.securing is not None or self.returning.takes_back_from(sender):
                if management.securing is not None:
                    await management.securing
                else:
                    await self.returning.finish(sender)
            await self._secure(kept, sender, management, management.take_told())

    @contextmanager
    def _unrest(self) -> Iterator[None]:
        """A context in which messages may yet be held: :meth:`at_rest` waits for its end."""
        over = Deferred[None]()
        self._waiting.add(over)
        try:
            yield
        finally:
            self._waiting.remove(over)
            over.callback(None)

    async def at_rest(self) -> None:
        """Wait until no message is being made safe: then sessions may be saved with their queues,
        and none is held beside that.
        """
        while works := self._waiting or self._writing:
            await next(iter(works))

    async def secure_for(self, sender: JID, told: Told) -> None:
        """Make the messages of a sender on another node safe that are in queues here.

        Args:
            sender: Full JID.
            told: Their addressees.
        """
        with self._unrest():
            await self.returning.finish(sender)
            kept = self.followers.secure(sender.bare)
            if kept is not None:
                await kept
            for written in tuple(self._writing):
                await written
            unsafe = list(self._unsafe(sender, told))
            if unsafe:
                await self._hold(unsafe)

    async def _secure(
        self,
        kept: Later,
        sender: JID,
        management: StreamManagement,
        told: Told,
        asking: Later = None,
    ) -> None:
        """Make them safe when followers have stored what they have to, and in one round with those
        of others: by then most recipients have acknowledged theirs, and need not be held.

        Args:
            kept: Until followers have.
            sender: Full JID.
            management: The sender's.
            told: Whom the messages are for.
            asking: What other nodes do about it, if nothing is to be done here.
        """
        management.securing = done = Deferred[None]()
        self._waiting.add(done)
        until = self.clocks.seconds()
        try:
            if kept is not None:
                await kept
            if asking is None:
                await self._secure_here(sender, told, until)
            else:
                await asking
        except StoreError:
            management.is_unsafe(told)
            raise
        finally:
            management.securing = None
            self._waiting.remove(done)
            done.callback(None)

    async def _secure_here(self, sender: JID, told: Told, until: float) -> None:
        unsafe: list[Unsafe] = []
        await self._routed_again(sender)
        if self._may_be_unsafe(sender, told, until):
            begins = self._rounds.join()
            if begins is not None:
                await begins
                await self._routed_again(sender)
            unsafe = list(self._unsafe(sender, told, until))
        asking = self.ask_others(sender, told)
        others = None if asking is None else Deferred.fromCoroutine(asking)
        try:
            if unsafe:
                await self._hold(unsafe)
        finally:
            if others is not None:
                await others

    async def _routed_again(self, sender: JID) -> None:
        """Wait until all stanzas of a sender that were taken back are in queues again."""
        while self.returning.takes_back_from(sender):
            await self.returning.finish(sender)

    def _may_be_unsafe(self, sender: JID, told: Told, until: float = inf) -> bool:
        """Whether anything waits here that this sender may have sent until then."""
        for session in self._recipients(sender, told):
            management = session.management
            if management is None:
                if next(_waits(session), None) is not None:
                    return True
                continue
            for _, (stanza, _, came) in session.unread_since(told.since):
                if stanza.sender.full == sender.full and _came_by(until, stanza, came):
                    return True
        return False

    def _unsafe(self, sender: JID, told: Told, until: float = inf) -> Iterator[Unsafe]:
        """The messages of a sender that came until then, and are only in queues."""
        for session in self._recipients(sender, told):
            if is_guest(session.jid.bare):  # it is not read after a restart
                continue
            if session.management is None:
                yield from self._unsafe_unmanaged(sender, session)
                continue
            held = session.management.held
            for position, waiting in session.unread_since(told.since):
                stanza, _, came = waiting
                if stanza.sender.full != sender.full or not _came_by(until, stanza, came):
                    continue
                if _is_held(stanza, held):
                    continue
                if isinstance(stanza, Message) and _is_kept(stanza):
                    message = self._held(session.jid, session.management.key, position, waiting)
                    note = partial(held.__setitem__, stanza)
                    yield Unsafe(stanza, came, message, note, partial(held.pop, stanza, None))

    def _unsafe_unmanaged(self, sender: JID, session: LocalClientSession) -> Iterator[Unsafe]:
        """The messages that wait for a client which acknowledges nothing, the newest first."""
        known = self._written.get(session, {})
        for wire, stanza in _waits(session):
            key = id(wire), sender.full
            if key in known:
                if known[key][1]:
                    return  # it is held, and so is all that was sent before it
                continue
            stanzas = [stanza] if stanza is not None else []
            if stanza is None and sender.wire in wire:
                stanzas = stanzas_in(wire)
            of_sender = [each for each in stanzas if each.sender.full == sender.full]
            if not of_sender:
                continue
            held: list[Kept] = []
            known = self._written.setdefault(session, known)
            known[key] = wire, held
            for each in reversed(of_sender):
                if not isinstance(each, Message) or is_copy(each, session.jid.bare):
                    continue
                if _is_kept(each):
                    addressed = each if each.to is not None else each.addressed(session.jid)
                    waiting = (each, addressed.wire(), UNKNOWN)
                    message = self._held(session.jid, None, 0, waiting)
                    yield Unsafe(each, UNKNOWN, message, held.append, partial(known.pop, key, None))

    def _held(
        self, session: JID, key: bytes | None, position: int, waiting: Waiting
    ) -> HeldMessage:
        stanza, wire, came = waiting
        stamp = self.clocks.wall_clock() if came == UNKNOWN else self.clocks.stamp(came)
        if not isinstance(stanza.payload, Stamped):
            wire = delayed(wire, session.domain, stamp)
        origin = self.origin_of(stanza)
        return HeldMessage(key or b"", position, session.bare, wire, stamp, origin=origin)

    def _recipients(self, sender: JID, told: Told) -> Iterable[LocalClientSession]:
        if told.to is None:
            return tuple(self.sessions.sessions.values())
        accounts = {_account(text, sender) for text in told.to}
        return (session for bare in accounts for session in self.sessions.local_sessions(bare))

    async def _hold(self, unsafe: list[Unsafe]) -> None:
        """Write them to the store, the oldest first; one that several sessions have only once."""
        holds: dict[Stanza, Kept] = {}
        messages: list[HeldMessage] = []
        unsafe.reverse()  # each session told of the newest first
        for each in sorted(unsafe, key=lambda each: each.came):
            if each.stanza not in holds:
                holds[each.stanza] = Kept(held=True, position=each.message.position)
                messages.append(each.message)
            each.note(holds[each.stanza])
        written = Deferred[None]()
        self._writing.add(written)
        for kept in holds.values():
            kept.writing = written
        arrived, self._arrived = self._arrived, []
        try:
            numbers = await self.store.hold_messages(self._node, messages, arrived=arrived)
            for kept, number in zip(holds.values(), numbers, strict=True):
                kept.number = number
                if kept.over:
                    self._arrived.append(number)
        except StoreError:
            self._arrived += arrived
            for each in unsafe:
                each.forget()
            for kept in holds.values():
                kept.over = True  # also where the message has a new stanza since it was sent again
            raise
        finally:
            for kept in holds.values():
                kept.writing = None
            self._writing.remove(written)
            written.callback(None)
        self._forget_soon()

    # -- their positions --------------------------------------------------------------------------

    def _place_soon(self, session: LocalClientSession) -> None:
        """Tell the store the counts by which clients have the messages in it (RS-11)."""
        if session.management is not None:
            placing = self._place(session, session.management)
            Deferred.fromCoroutine(placing).addErrback(_failed)

    async def _place(self, session: LocalClientSession, management: StreamManagement) -> None:
        try:
            while misplaced := management.take_misplaced():
                for kept in misplaced:
                    if kept.writing is not None:
                        await kept.writing
                if management.place is None:
                    return  # it has ended, and they belong to another
                key = management.key or b""
                places = [_place(kept, key) for kept in misplaced if kept.number and not kept.over]
                if places:
                    await self.store.place_messages(places)
        finally:
            for element in management.uncork():
                session.connection.write(element)

    # -- afterwards -------------------------------------------------------------------------------

    def arrived(self, management: StreamManagement, stanzas: Iterable[Stanza]) -> None:
        """Forget messages that a client has acknowledged."""
        for stanza in stanzas:
            kept = management.held.pop(stanza, None)
            if kept is not None:
                self._release(kept)
        self._forget_soon()

    def closed(self, event: SessionClosed) -> None:
        """Note that a session has ended, and its unread messages are about to be routed again. One
        that goes on at another node has none left here.
        """
        session = event.session
        management = session.management
        if management is not None and event.moved_to is None:
            if management.held:
                self._ended.append((session.jid.bare, dict(management.held)))
                management.held.clear()
            securing = self.secure_all(session)
            if securing is not None:  # its client may still ask what was handled
                Deferred.fromCoroutine(securing).addErrback(_failed)
        for _, held in self._written.pop(session, {}).values():
            self._unread += held

    def gave_away(self, account: str, held: Mapping[Stanza, Kept]) -> None:
        """Forget messages that were passed on to another node, when they are safe there."""
        if held:
            self._ended.append((account, dict(held)))
            if not self.returning.taking_back:
                self.find_places()

    def forget_saved(
        self, management: StreamManagement, saved: Iterable[Stanza], numbers: Collection[int]
    ) -> None:
        """Note that these messages of a session are saved with it, so that they need not be held
        beside that.

        Args:
            management: Of the session.
            saved: What is saved.
            numbers: Of those that were held when it was saved, and are not any more.
        """
        for stanza in saved:
            kept = management.held.get(stanza)
            if kept is not None and kept.number in numbers:
                kept.over = True
            elif kept is not None:  # written meanwhile
                self._release(kept)
            management.held[stanza] = Kept(held=True)
        self._forget_soon()

    async def take_back(
        self, session: JID, key: bytes, queue: Iterable[tuple[int, Waiting]]
    ) -> dict[Stanza, Kept] | None:
        """Hold the messages of a session that is saved again, and not saved any more.

        Args:
            session: Full JID.
            key: Of the session.
            queue: What was saved with it: each with the count by which its client has it; 0 if it
                was not sent.

        Returns:
            What is held now; None if another node has taken the session.
        """
        holds: dict[Stanza, Kept] = {}
        messages: list[HeldMessage] = []
        for position, waiting in queue:
            stanza = waiting[0]
            if isinstance(stanza, Message) and _is_kept(stanza):
                holds[stanza] = Kept(held=True, position=position)
                messages.append(self._held(session, key, position, waiting))
        numbers = await self.store.take_back_session(self._node, key, held=messages)
        if numbers is None:
            return None
        for kept, number in zip(holds.values(), numbers, strict=True):
            kept.number = number
        return holds

    def find_places(self) -> None:
        """Hold messages for the sessions that have them now, or for none, when all that was taken
        back has been routed.
        """
        ended, self._ended = self._ended, []
        unread, self._unread = self._unread, []
        for kept in unread:
            self._release(kept)
        for account, held in ended:
            left = {kept for kept in held.values() if not kept.over}
            copied = {s.payload.copies: kept for s, kept in held.items() if s.payload.copies}
            for session in self.sessions.local_sessions(account) if left else ():
                left -= self._follow_to(session, left, copied)
            self._release_when_safe(account, {s: kept for s, kept in held.items() if kept in left})
        self._forget_soon()

    def _release_when_safe(self, account: str, held: dict[Stanza, Kept]) -> None:
        """Forget messages that no session here has; those that may be on other nodes only when they
        are safe there.
        """
        asking = [
            later
            for sender in dict.fromkeys(stanza.sender for stanza in held)
            if (later := self.ask_others(sender, Told({account}, UNKNOWN))) is not None
        ]
        if asking:
            Deferred.fromCoroutine(self._release_behind(asking, account, held)).addErrback(_failed)
            return
        for kept in held.values():
            self._release(kept)

    async def _release_behind(
        self, asking: list[Coroutine[Any, Any, None]], account: str, held: dict[Stanza, Kept]
    ) -> None:
        try:
            for later in asking:
                await later
        except StoreError:
            self._ended.append((account, held))  # looked at again before long
            raise
        for kept in held.values():
            self._release(kept)
        self._forget_soon()

    def _follow_to(
        self, session: LocalClientSession, left: set[Kept], copied: Mapping[Copies, Kept]
    ) -> set[Kept]:
        """The messages among these that are in the queue of a session now, or have a copy there."""
        management = session.management
        found: set[Kept] = set()
        if management is None:
            return found
        for position, (stanza, _, _) in session.unread_since(UNKNOWN):
            payload = stanza.payload
            if isinstance(payload, Returned):
                kept = payload.stood.kept
            else:
                kept = copied.get(payload.copies) if payload.copies is not None else None
            if kept is not None and kept in left:
                found.add(kept)
                if management.held.get(stanza) is not kept:  # it was not sent yet, or is a copy
                    management.held[stanza] = kept
                    kept.position = position
                    management.misplaced.append(kept)
        management.tell_places()
        return found

    def sweep(self) -> None:
        """Forget messages that were read by clients which acknowledge nothing, and those that could
        not be forgotten before.
        """
        for session, written in tuple(self._written.items()):
            waits = {id(wire) for wire, _ in _waits(session)}
            for key in [key for key in written if key[0] not in waits]:
                for kept in written.pop(key)[1]:
                    self._release(kept)
            if not written:
                del self._written[session]
        if not self.returning.taking_back:
            self.find_places()

    def _release(self, kept: Kept) -> None:
        if not kept.over:
            kept.over = True
            if kept.number:
                self._arrived.append(kept.number)

    def _forget_soon(self) -> None:
        if self._arrived and not self._forgetting:
            Deferred.fromCoroutine(self._forget()).addErrback(_failed)

    async def _forget(self) -> None:
        """Forget messages in the store; those that arrive while that is written go with the
        next.
        """
        try:
            while self._arrived:
                self._forgetting, self._arrived = self._arrived, []
                try:
                    await self.store.hold_messages(self._node, (), arrived=self._forgetting)
                except StoreError:
                    self._arrived += self._forgetting
                    raise
        finally:
            self._forgetting = []

    # -- when the server starts -------------------------------------------------------------------

    async def take_up(self, sessions: Iterable[LocalClientSession], lost: Sequence[Lost]) -> None:
        """Hold the messages of sessions of an orderly stop, which are not saved any more.

        Args:
            sessions: Those that were restored.
            lost: Those that were not: their messages become offline messages.
        """
        holds: list[Kept] = []
        messages: list[HeldMessage] = []
        keys = [each.key for each in lost]
        for session in sessions:
            management = session.management
            if management is None:
                continue
            keys += [] if management.key is None else [management.key]
            for position, waiting in reversed(list(session.unread_since(UNKNOWN))):
                stanza = waiting[0]
                if isinstance(stanza, Message) and _is_kept(stanza):
                    kept = management.held[stanza] = Kept(held=True, position=position)
                    holds.append(kept)
                    messages.append(self._held(session.jid, management.key, position, waiting))
        gone = [
            self._held(each.jid, each.key, position, waiting)
            for each in lost
            for position, waiting in each.unread
            if isinstance(waiting[0], Message) and _is_kept(waiting[0])
        ]
        numbers = await self.store.take_up_sessions(self._node, keys, held=messages, lost=gone)
        for kept, number in zip(holds, numbers, strict=True):
            kept.number = number

    async def forget_received(self, id: str, account: JID, h: int) -> None:
        """Forget messages of a session that is gone, as its client says what it has got of them.

        It says so once: afterwards no message is held that it has acknowledged before.
        """
        for written in tuple(self._writing):
            await written
        arrived = [*self._forgetting, *self._arrived]
        if arrived:
            await self.store.hold_messages(self._node, (), arrived=arrived)
        key = key_of(id)
        received = [
            message.id
            for message in await self.offline.offline_messages(account.bare)
            if message.key == key and message.position and _covers(h, message.position)
        ]
        if received:
            await self.offline.delete_offline(account.bare, received)


def _waits(session: LocalClientSession) -> Iterator[tuple[bytes, Stanza | None]]:
    """The pieces that wait for a client to read, the newest first: bytes, and stanzas if known."""
    if session.backlog is not None:
        for stanza, wire, _ in session.backlog.since(UNKNOWN):
            yield wire, stanza
    for piece in reversed(session.connection.unsent()):
        yield piece, None


def _place(kept: Kept, key: bytes) -> StanzaPlace:
    return StanzaPlace(kept.number, kept.held, key, kept.position)


def _covers(h: int, position: int) -> bool:
    """Whether so many handled stanzas include the one of this count (:xep:`0198#acking`)."""
    return (h - position) % WRAP < WRAP // 2


def _came_by(until: float, stanza: Stanza, came: float) -> bool:
    """Whether it was sent until then: one that a session has given back comes again later."""
    return came <= until or stanza.payload.again


def _is_held(stanza: Stanza, held: Mapping[Stanza, Kept]) -> bool:
    """Whether it is in the store, if need be for a session that has just given it back."""
    kept = held.get(stanza)
    if kept is None and isinstance(stanza.payload, Returned):
        kept = stanza.payload.stood.kept
    return kept is not None and not kept.over


def _is_kept(message: Message) -> bool:
    """Whether it would be kept as an offline message, and is not already."""
    if isinstance(message.payload, Stored | Pulled):
        return False
    is_worth_it = fate(message).offline is OfflineFate.KEPT
    message.payload.forget_trees()  # in a queue it is bytes only, also after a look at its tree
    return is_worth_it


def _account(text: str, sender: JID) -> str:
    """The account of a message's addressee; one without an address was not delivered."""
    try:
        return JID.parse(text).bare if text else sender.bare
    except ValueError:
        return sender.bare


def _nobody_else(sender: JID, told: Told) -> Later:
    """None: there is no other node."""
    return None


def _needs_none(stanza: Stanza) -> str:
    """No origin: there is no other node."""
    return ""


def _failed(failure: Failure) -> None:
    if not failure.check(StoreError):  # which the store has logged
        _log.failure(
            "the server failed to keep a record of messages that await an acknowledgement", failure
        )
