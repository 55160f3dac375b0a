"""Moves: sessions that change their node, because their client has come back elsewhere, or because
their node is about to stop.
"""

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from twisted.internet import defer
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.bus import Outcome, Unreachable
from xmppd.cluster.entries.moves import (
    Adopted,
    KnownAt,
    NotHere,
    Offered,
    PassedOn,
    Resume,
    SessionOver,
)
from xmppd.cluster.node import NodeId
from xmppd.host.clocks import UNKNOWN
from xmppd.nodes.account_sync import AccountSync
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.nodes.session_offers import SessionOffers
from xmppd.routing.locations import Locations
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import key_of
from xmppd.session.session_manager import SessionMoved
from xmppd.stanza import JID, StanzaError
from xmppd.store.errors import StoreError

ANSWER_S = 5.0
"""The time in which another node gives a session, or takes one."""

MAX_ASKED_ON = 3
"""Nodes that are asked one after the other for a session that moves on all the time."""

_log = Logger()


class Moves:
    """Takes sessions over from other nodes, and hands sessions over to them (CL-100).

    Args:
        offers: The sessions here that others may take.
        locations: The places of sessions in the directory.
        account_sync: Reads what others have stored of their accounts.

    Attributes:
        on_taken: Called with a session that another node has saved, which is gone, and that is here
            now, so that others know it.
    """

    def __init__(
        self, offers: SessionOffers, locations: Locations, account_sync: AccountSync
    ) -> None:
        self.offers = offers
        self.locations = locations
        self.account_sync = account_sync
        self.saved_sessions = offers.saved_sessions
        self.resumable_sessions = offers.resumable_sessions
        self.held_messages = offers.held_messages
        self.flood = offers.flood
        self.presence = offers.presence
        self.routing_table = offers.routing_table
        self.bus = offers.bus
        self.on_taken: Callable[[LocalClientSession], Awaitable[None]] = _nobody_to_tell
        self._taking: dict[bytes, Deferred[None]] = {}

    def put_in(self, entries: EntryHandler) -> None:
        """Handle what concerns sessions that change their node."""
        entries.put(Resume, self.offers.asked)
        entries.put(Adopted, self.offers.adopted)
        entries.put(Offered, self.offered)
        entries.put(PassedOn, self.passed_on)

    # -- from here --------------------------------------------------------------------------------

    async def hand_over(self, session: LocalClientSession, to: NodeId) -> bool:
        """Have a session be at another node, detached, so that its client finds it wherever it
        comes back.

        Args:
            session: It can be resumed; if it has a connection, that is closed.
            to: The other node, which is in.

        Returns:
            Whether it is there now, after 15 seconds at most; if not, it is here.
        """
        offer = await self.offers.offer(session, to)
        if offer is None:
            return False
        try:
            await self.bus.ask(to, offer.entry, ANSWER_S)
        except Unreachable as error:
            _log.info("{jid} stays here: {error}", jid=session.jid.full, error=error)
        await self.offers.take_back(offer)
        decided = offer.decided().addTimeout(2 * ANSWER_S, self.offers.clock)
        try:
            return await decided
        except defer.TimeoutError:
            return False

    # -- to here ----------------------------------------------------------------------------------

    async def take_over(self, id: str, account: JID, h: int) -> int | None:
        """Have a session be here that another node has, or has left in the store.

        Args:
            id: By which its client resumes it.
            account: Whose it must be (RS-6).
            h: The count of stanzas that its client has got.

        Returns:
            The number of its client's stanzas that were handled, if it has ended lately at another
            node.

        Raises:
            StoreError: The store cannot say where it is.
        """
        key = key_of(id)
        while (taking := self._taking.get(key)) is not None:
            await taking
        done = self._taking[key] = Deferred[None]()
        try:
            return await self._take_over(key, account, h)
        finally:
            del self._taking[key]
            done.callback(None)

    async def _take_over(self, key: bytes, account: JID, h: int) -> int | None:
        await self.offers.keep(key)
        if self._is_here(key, account) or await self._restore(key, account):
            return None
        entry, handled = Resume(account.bare, key, h), list[int]()
        asking = [
            Deferred.fromCoroutine(self._ask(node, entry, handled))
            for node in await self._nodes_of(account)
        ]
        decided = Deferred[None]()

        def decide(_: object, *, if_here: bool) -> None:
            if not decided.called and (not if_here or self._is_here(key, account)):
                decided.callback(None)

        for each in asking:
            each.addCallback(decide, if_here=True)
        DeferredList(asking).addCallback(decide, if_here=False)
        await decided
        return handled[0] if handled else None

    async def _ask(
        self, node: NodeId, entry: Resume, handled: list[int], left: int = MAX_ASKED_ON
    ) -> None:
        """Ask a node for a session, or the one to which it has moved from there, and take it."""
        try:
            answer = await self.bus.ask(node, entry, ANSWER_S)
            if isinstance(answer, Offered):
                await self.offered(node, answer)
            elif isinstance(answer, NotHere) and answer.handled is not None:
                handled.append(answer.handled)
            elif isinstance(answer, NotHere) and answer.at and left:
                await self._ask(NodeId.parse(answer.at), entry, handled, left - 1)
        except (Unreachable, ValueError) as error:
            _log.info("{node} did not say where a session is: {error}", node=node, error=error)
        except StoreError as error:
            _log.error("a session at {node} cannot be taken over: {error}", node=node, error=error)

    def _is_here(self, key: bytes, account: JID) -> bool:
        return self.resumable_sessions.find_by_key(key, account) is not None

    async def _nodes_of(self, account: JID) -> Iterable[NodeId]:
        try:
            places = await self.routing_table.nodes_of(account.bare)
        except StanzaError:
            return ()
        return [place.node for place in places]

    async def _restore(self, key: bytes, account: JID) -> bool:
        """Restore a session that a node has saved which is gone (ST-8)."""
        lost = await self.saved_sessions.take(key, account)
        if lost is None:
            return False
        session = self.resumable_sessions.find_by_key(key, account)
        await self.held_messages.take_up(() if session is None else (session,), lost)
        if session is not None:
            await self.on_taken(session)
        return True

    async def offered(self, sender: NodeId, entry: Offered) -> None:
        """Take a session that another node offers."""
        adopting = self.offers.adopting
        while (others := adopting.get(entry.key)) is not None:
            await others
        done = adopting[entry.key] = Deferred[None]()
        account = JID.prepared(entry.session).to_bare()
        adopt = partial(self._adopt_in_turn, sender, entry, account)
        try:
            with self.locations.arriving(account.bare):
                await self.flood.when_stored(account, adopt, passes=True)
        finally:
            del adopting[entry.key]
            done.callback(None)

    async def _adopt_in_turn(self, node: NodeId, offered: Offered, account: JID) -> None:
        """Take a session that another node offers; messages for its account wait meanwhile."""
        is_new = account.bare not in self.routing_table.users
        await self.saved_sessions.read_account(account)
        lost = await self.saved_sessions.take(offered.key, account, offered_by=node)
        if lost is None:
            return
        session = self.resumable_sessions.find_by_key(offered.key, account)
        self.offers.is_here_again(offered)
        if session is not None:
            session.serial, session.count = offered.serial, offered.count
            session.moving = True
            self.presence.came(session)
        try:
            await self.held_messages.take_up(() if session is None else (session,), lost)
        except StoreError:
            _log.error("{jid} was taken over, but its saved copy remains", jid=offered.session)
        if session is not None:
            await self.locations.move_here(session, node)
        if await self._is_over(node, offered, session) and session is not None:
            session.connection.close()
        if session is None or session.closed:
            return
        await self.locations.meet(session)
        if is_new:
            await self._read_again(account)
        self.resumable_sessions.sessions.events.fire(SessionMoved(session))
        finding = Deferred.fromCoroutine(self.presence.find_others(session))
        finding.addErrback(_failed, session)

    async def _is_over(
        self, node: NodeId, offered: Offered, session: LocalClientSession | None
    ) -> bool:
        """Tell the other node that its session is here, if it could be read; returns whether it has
        ended there meanwhile.
        """
        whole = session is not None
        adopted = Adopted(offered.session, offered.serial, offered.key, whole)
        try:
            answer = await self.bus.ask(node, adopted, ANSWER_S)
        except Unreachable:
            return False  # it learns from the store that it is not its own any more
        if isinstance(answer, KnownAt) and session is not None:
            self.presence.is_known_at(session, (*map(NodeId.parse, answer.nodes), node))
        return isinstance(answer, SessionOver)

    async def _read_again(self, account: JID) -> None:
        """Read what may have changed before others knew that this node is to be told of it."""
        try:
            await self.account_sync.read_again(account)
        except StoreError:
            _log.info("{account} will be read again when needed", account=account)

    def passed_on(self, sender: NodeId, entry: PassedOn) -> Outcome:
        """Take a stanza that has come to the former node of a session.

        It does not wait behind others: whatever came there was sent before what comes here.
        """
        delivered = entry.delivered
        session = self.resumable_sessions.sessions.session(JID.prepared(delivered.session))
        stanza = delivered.stanza()
        if delivered.copies:
            stanza.payload.copies = self.saved_sessions.counted(
                delivered.about, delivered.copies, entry.counted_at
            )
        if session is not None:
            self.presence.pass_on(session, stanza)
            if session.deliver(stanza, delivered.wire, ours=True, seen=True):
                return None
        if not self.offers.passes_on(sender, delivered):
            unread = [(stanza, delivered.wire, UNKNOWN)]
            self.offers.packet_router.take_back(unread, JID.prepared(delivered.session))
        return None


async def _nobody_to_tell(session: LocalClientSession) -> None:
    """Do nothing, since there is no other node."""


def _failed(failure: Failure, session: LocalClientSession) -> None:
    _log.failure(
        "the arrival of {jid} could not be announced to other nodes", failure, jid=session.jid.full
    )


__all__ = ["ANSWER_S", "Moves"]
