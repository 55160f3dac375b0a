"""SessionOffers: sessions here that other nodes may take."""

from contextlib import suppress

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.bus import Outcome
from xmppd.cluster.entries.moves import (
    Adopted,
    KnownAt,
    NotHere,
    Offered,
    PassedOn,
    Resume,
    SessionOver,
)
from xmppd.cluster.entries.stanzas import Delivered, Routed
from xmppd.cluster.membership import NodeLeft, NodeLost
from xmppd.cluster.node import Location, NodeId
from xmppd.message.held_messages import HeldMessages
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.presence.moved_presence import MovedPresence
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.hints import Hints
from xmppd.routing.routing_table import MAX_PASSED_ON
from xmppd.session.backlog import Waiting
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.saved_sessions import SavedSessions
from xmppd.session.session_manager import SessionClosed
from xmppd.session.stream_management import StreamManagement
from xmppd.stanza import JID, Message, Stanza, StreamError
from xmppd.stanza.delay import Stored, as_stamped
from xmppd.store.errors import StoreError

ADOPT_S = 10.0
"""A session that was offered and is not adopted in this time is taken back."""

RETRY_S = 1.0
"""After this time the store is asked again whose a session is."""

_log = Logger()


class SessionOffer:
    """A session that is in the store, where another node may take it.

    Attributes:
        session: It has no connection, and nobody finds it to resume it.
        key: Of the session.
        to: The node that is to have it.
        queue: What was saved with it: each stanza with the count by which its client has it; 0 for
            those that were not sent.
        stanzas: The same as they are in its queue, or were.
        over: Whether it has ended meanwhile.
        unread: If it has, what was in its queue then.
        late: Those of them that have come since it was saved.
        is_wanted_here: Whether its client has come back here meanwhile.
        timer: Calls when it is to be taken back.
    """

    def __init__(
        self, session: LocalClientSession, management: StreamManagement, key: bytes, to: NodeId
    ) -> None:
        self.session = session
        self.management = management
        self.key = key
        self.to = to
        sent = management.unacknowledged()
        waiting = [] if session.backlog is None else session.backlog.waiting()
        self.stanzas = {stanza for stanza, _, _ in (*sent, *waiting)}
        self.queue = [
            *zip(management.positions(), map(_out_of_store, sent), strict=True),
            *((0, _out_of_store(each)) for each in waiting),
        ]
        self.sent_count = len(sent)
        self.unread: list[Waiting] = []
        self.late: list[Waiting] = []
        self.over = self.is_wanted_here = False
        self.timer: IDelayedCall | None = None
        self._result: bool | None = None
        self._waiting: list[Deferred[bool]] = []

    @property
    def entry(self) -> Offered:
        """What the other node is told of it."""
        session = self.session
        return Offered(session.jid.full, session.serial, self.key, session.count)

    def decide(self, *, moved: bool) -> None:
        """Note that the other node has it, or that it stays."""
        self.wait_no_more()
        self._result = moved
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(moved)

    def decided(self) -> Deferred[bool]:
        """Whether the other node has it, when that is known."""
        if self._result is not None:
            return defer.succeed(self._result)
        decided = Deferred[bool]()
        self._waiting.append(decided)
        return decided

    def wait_no_more(self) -> None:
        """Stop the timer."""
        if self.timer is not None and self.timer.active():
            self.timer.cancel()
        self.timer = None


class SessionOffers:
    """Gives detached sessions to other nodes (CL-100, CL-101).

    A session is written to the store, as at a stop; there it belongs to this node until another one
    has it belong to itself, or this one takes it back, whichever is first. Until this node hears
    who has it, it stays here for others, and keeps what comes for it.

    Args:
        saved_sessions: The store, and how a session is written.
        held_messages: Of messages in its queue.
        flood: Of stored messages in its queue.
        presence: Who sees it, and whom it sees.
        packet_router: Routes what has come for a session that has ended meanwhile.

    Attributes:
        gone: Where sessions are that were here, by full JID and by key in hexadecimal, and by the
            bare JID of accounts that have none here any more.
        adopting: The sessions that are being taken up here, by key; done when that is over.
    """

    def __init__(
        self,
        saved_sessions: SavedSessions,
        held_messages: HeldMessages,
        flood: OfflineMessageFlood,
        presence: MovedPresence,
        packet_router: PacketRouter,
    ) -> None:
        self.saved_sessions = saved_sessions
        self.resumable_sessions = saved_sessions.resumable_sessions
        self.sessions = saved_sessions.sessions
        self.held_messages = held_messages
        self.flood = flood
        self.presence = presence
        self.packet_router = packet_router
        self.routing_table = flood.routing_table
        self.bus = self.routing_table.bus
        self.membership = self.routing_table.membership
        self.clock = flood.requests.clock
        self.gone = Hints(self.clock.seconds)
        self.adopting: dict[bytes, Deferred[None]] = {}
        self._offers: dict[bytes, SessionOffer] = {}

    def __len__(self) -> int:
        return len(self._offers)

    # -- offering ---------------------------------------------------------------------------------

    async def asked(self, sender: NodeId, entry: Resume) -> Offered | NotHere:
        """Offer a session whose client has come back at another node."""
        account = JID.prepared(entry.account)
        while (known := self._offers.get(entry.key)) is not None:
            await known.decided()
            if known.is_wanted_here:
                return NotHere()  # its client was here later than there
        while (adopting := self.adopting.get(entry.key)) is not None:
            await adopting
        session = self.resumable_sessions.find_by_key(entry.key, account)
        if session is None:
            for location in self.gone.get(entry.key.hex()):
                return NotHere(at=str(location.node))
            return NotHere(self.resumable_sessions.handled_by_key(entry.key, account))
        offer = await self.offer(session, sender, entry.h)
        return NotHere() if offer is None else offer.entry

    async def offer(
        self, session: LocalClientSession, to: NodeId, h: int | None = None
    ) -> SessionOffer | None:
        """Write a session to the store, so that another node may take it; if it has a connection,
        that is closed.

        Args:
            session: It can be resumed.
            to: The other node.
            h: The count of stanzas that its client has got, if that is known.

        Returns:
            None if it stays here: the store fails, or it has been resumed or ended meanwhile, or is
            offered to another node.
        """
        management = session.management
        if management is None or management.key is None:
            return None
        key = management.key
        while (adopting := self.adopting.get(key)) is not None:
            await adopting
        if not session.detached:
            self.resumable_sessions.replace(session)
        try:
            if not await self._is_at_rest(session, management, key):
                return None
        except StoreError:
            return None
        if h is not None:
            self._acknowledge(session, management, h)
        return await self._save(session, management, key, to)

    async def _is_at_rest(
        self, session: LocalClientSession, management: StreamManagement, key: bytes
    ) -> bool:
        """Wait until nothing that its client has sent is being handled; returns whether it still
        can be given away.
        """
        while session.detached and not session.closed and key not in self._offers:
            if management.work is not None:
                await management.work
            elif (securing := self.held_messages.secure_all(session)) is not None:
                await self.held_messages.secured(session, securing)
            else:
                return True
        return False

    def _acknowledge(
        self, session: LocalClientSession, management: StreamManagement, h: int
    ) -> None:
        with suppress(StreamError):  # the node where its client is tells it that this is too much
            arrived = management.acknowledge(h)
            if management.held:
                self.held_messages.arrived(management, arrived)
            self.flood.acknowledged(session, arrived)

    async def _save(
        self, session: LocalClientSession, management: StreamManagement, key: bytes, to: NodeId
    ) -> SessionOffer | None:
        self.presence.prepare(session)
        saved = self.saved_sessions.saved_one(session, key)
        theirs = sorted(self.saved_sessions.out_of_store(session))
        held = [kept.number for kept in management.held.values() if kept.number and not kept.over]
        offer = self._offers[key] = SessionOffer(session, management, key, to)
        self.resumable_sessions.withhold(session)
        try:
            await self.saved_sessions.store.offer_session(
                saved.node, saved, theirs=theirs, held=held
            )
        except StoreError:
            self._forget(offer)
            if offer.over:
                self.packet_router.take_back(offer.unread, session.jid)
            else:
                self.presence.stays(session)
                self.resumable_sessions.release(session)
            offer.decide(moved=False)
            return None
        if offer.over:
            await self.take_back(offer)
            return None
        late = [each for each in session.take_waiting() if each[0] not in offer.stanzas]
        session.wait_again(late)
        messages = [stanza for stanza in offer.stanzas if isinstance(stanza, Message)]
        self.held_messages.forget_saved(management, messages, held)
        self._take_back_later(offer, ADOPT_S)
        return offer

    # -- taking back ------------------------------------------------------------------------------

    async def keep(self, key: bytes) -> None:
        """Take a session back whose client has come back here; or wait until it is known that
        another node has it.
        """
        while (offer := self._offers.get(key)) is not None and not offer.is_wanted_here:
            offer.is_wanted_here = True
            await self.take_back(offer)

    async def finish(self) -> None:
        """Take back all that no other node has taken, since this one is about to stop."""
        for offer in tuple(self._offers.values()):
            await self.take_back(offer)

    def node_gone(self, event: NodeLost | NodeLeft) -> None:
        """Take back what a node has not taken that is gone."""
        for offer in tuple(self._offers.values()):
            if offer.to == event.node.id:
                self._take_back_now(offer)

    def _take_back_later(self, offer: SessionOffer, delay_s: float) -> None:
        offer.wait_no_more()
        offer.timer = self.clock.callLater(delay_s, self._take_back_now, offer)

    def _take_back_now(self, offer: SessionOffer) -> None:
        Deferred.fromCoroutine(self.take_back(offer)).addErrback(_failed, offer)

    async def take_back(self, offer: SessionOffer) -> None:
        """Have a session stay here, if no other node has taken it yet."""
        if self._offers.get(offer.key) is not offer:
            return  # who has it is known
        offer.wait_no_more()
        queue = () if offer.over else offer.queue
        try:
            held = await self.held_messages.take_back(offer.session.jid, offer.key, queue)
        except StoreError:
            self._take_back_later(offer, RETRY_S)
            return
        if self._offers.get(offer.key) is not offer:
            return  # it was adopted meanwhile
        if held is None:
            self._has_been_taken(offer)
            return
        self._forget(offer)
        if offer.over:
            offer.late[:0] = [waiting for _, waiting in offer.queue]
            self._route(offer)
            self.held_messages.gave_away(offer.session.jid.bare, held)
        else:
            session, management = offer.session, offer.management
            waiting = [each for _, each in offer.queue]
            management.replace_unacknowledged(waiting[: offer.sent_count])
            session.wait_again(waiting[offer.sent_count :])
            management.held = {s: kept for s, kept in management.held.items() if kept.number}
            management.held.update(held)
            self.presence.stays(session)
            self.resumable_sessions.release(session)
        offer.decide(moved=False)

    def _has_been_taken(self, offer: SessionOffer) -> None:
        """Wait until the other node says that it has the session; if that is gone, it has ended."""
        if offer.over:
            self._route(offer)
            self._forget_later(offer)
        elif self.membership.is_in(offer.to):
            self._take_back_later(offer, ADOPT_S)
        else:
            self._end(offer)

    def _forget_later(self, offer: SessionOffer) -> None:
        offer.timer = self.clock.callLater(ADOPT_S, self._give_up, offer)

    def _give_up(self, offer: SessionOffer) -> None:
        self._forget(offer)
        offer.decide(moved=True)

    def _end(self, offer: SessionOffer) -> None:
        """End a session that cannot go on; another node looks after what was saved with it."""
        self._forget(offer)
        offer.management.forget_unacknowledged()
        offer.session.connection.close()
        offer.decide(moved=True)

    def _forget(self, offer: SessionOffer) -> None:
        if self._offers.get(offer.key) is offer:
            del self._offers[offer.key]

    def closed(self, event: SessionClosed) -> None:
        """Note that a session has ended that was offered: only if no other node has taken it, what
        was saved with it is routed again from here.
        """
        management = event.session.management
        key = None if management is None else management.key
        offer = None if key is None else self._offers.get(key)
        if offer is None or offer.session is not event.session or event.moved_to is not None:
            return
        offer.over = True
        offer.unread = event.session.take_unread()
        offer.late = [each for each in offer.unread if each[0] not in offer.stanzas]
        if offer.timer is not None:  # else the store is just being asked
            self._take_back_now(offer)

    def _route(self, offer: SessionOffer) -> None:
        late, offer.late = offer.late, []
        self.packet_router.take_back(late, offer.session.jid)

    # -- when it is adopted -----------------------------------------------------------------------

    def adopted(self, sender: NodeId, entry: Adopted) -> Outcome:
        """Pass a session's part here on to the node that has it now."""
        offer = self._offers.get(entry.key)
        if offer is None:
            return None
        self._forget(offer)
        if offer.over:
            self._route(offer)
            offer.decide(moved=True)
            return SessionOver()
        known_at = self.routing_table.interest.known_at.get(offer.session.jid.bare, ())
        if entry.whole:
            self._leave(offer, sender)
            offer.decide(moved=True)
        else:
            self._end(offer)
        return KnownAt([str(node) for node in known_at])

    def _leave(self, offer: SessionOffer, node: NodeId) -> None:
        session, management = offer.session, offer.management
        jid, table = session.jid, self.routing_table
        location = Location(node, session.serial)
        late = session.take_waiting()
        held = {s: kept for s, kept in management.held.items() if kept.number or kept.writing}
        self.presence.went(session, node)
        session.closed = True
        self.sessions.close(session, moved_to=node)
        for name in (jid.full, offer.key.hex()):
            self.gone.note(name, (location,))
        if jid.bare in table.users:
            table.siblings.moved(session, node)
        else:
            table.hints.note(jid.bare, (location,))
            self.gone.note(jid.bare, (location,))
        for stanza, wire, _ in late:
            if not (isinstance(stanza.payload, Stored) or self.presence.is_found_out(stanza)):
                self._send_on(stanza, wire, jid, node)
        self.held_messages.gave_away(jid.bare, held)

    def _send_on(self, stanza: Stanza, wire: bytes, session: JID, node: NodeId) -> None:
        copies = stanza.payload.copies
        counted_at = "" if copies is None else self.saved_sessions.counted_at(copies)
        self.bus.tell(node, PassedOn(Delivered.of(stanza, wire, session, ours=True), counted_at))

    def is_here_again(self, entry: Offered) -> None:
        """Note that a session has come here, perhaps back."""
        for name in (entry.session, entry.key.hex(), entry.session.partition("/")[0]):
            self.gone.forget(name)

    # -- what comes afterwards --------------------------------------------------------------------

    def passes_on(self, sender: NodeId, entry: Delivered) -> bool:
        """Pass on a stanza for a session that was here lately; returns whether it was."""
        for location in self.gone.get(entry.session):
            self.bus.tell(location.node, PassedOn(entry, str(sender) if entry.copies else ""))
            return True
        return False

    def pass_on_presence(self, entry: Routed) -> None:
        """Pass on presence from another server for an account that has no session here any more."""
        if entry.about not in self.routing_table.users and entry.passed_on < MAX_PASSED_ON:
            again = Routed(
                entry.kind, entry.to, entry.sender, entry.id, entry.type, entry.raw,
                entry.way, entry.passed_on + 1, entry.marks,
            )  # fmt: skip
            for location in self.gone.get(entry.about):
                self.bus.tell(location.node, again)


def _out_of_store(waiting: Waiting) -> Waiting:
    """A stanza as it is in a session that is saved: messages out of the store are in it alone."""
    stanza, wire, came = waiting
    if isinstance(stanza, Message) and isinstance(stanza.payload, Stored):
        return as_stamped(stanza), wire, came
    return waiting


def _failed(failure: Failure, offer: SessionOffer) -> None:
    _log.failure("the node of {jid} is unknown", failure, jid=offer.session.jid.full)


__all__ = ["ADOPT_S", "SessionOffer", "SessionOffers"]
