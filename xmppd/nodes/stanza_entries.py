"""StanzaEntries: stanzas that other nodes pass on."""

from collections.abc import Awaitable

from xmppd.cluster.bus import Outcome
from xmppd.cluster.entries.stanzas import (
    KINDS,
    Behind,
    Delivered,
    DeliveredToMany,
    Having,
    Routed,
    StanzaMark,
    Way,
    WhoHas,
)
from xmppd.cluster.node import NodeId
from xmppd.components.component_route import ComponentRoute
from xmppd.host.clocks import UNKNOWN
from xmppd.message.offline_message_flood import OfflineMessageFlood
from xmppd.nodes.entry_handler import EntryHandler
from xmppd.nodes.session_offers import SessionOffers
from xmppd.presence.presence_manager import PresenceManager
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Message, Presence, Stanza, StanzaError

_FROM_ANYWHERE = ("error", "unavailable")
"""Types of stanzas that come from a session's own node no more often than from another."""


class StanzaEntries:
    """Routes stanzas of other nodes, where interceptors have seen them come in.

    Args:
        routing_table: Knows the sessions here.
        packet_router: Routes them.
        presences: Delivers presence from other servers.
        flood: Gives sessions what has waited for them, which comes first.
        offers: Know where sessions are that were here.
        entries: Knows what is being handled.
    """

    def __init__(
        self,
        routing_table: RoutingTable,
        packet_router: PacketRouter,
        presences: PresenceManager,
        flood: OfflineMessageFlood,
        offers: SessionOffers,
        entries: EntryHandler,
    ) -> None:
        self.entries = entries
        self.offers = offers
        self.presences = presences
        self.routing_table = routing_table
        self.packet_router = packet_router
        self.flood = flood

    def routed(self, sender: NodeId, entry: Routed) -> Outcome:
        """Take a stanza for an account, a component or another server."""
        stanza = entry.stanza()
        if isinstance(stanza, Presence) and self._is_delivered(stanza, entry, sender):
            return None
        if entry.way == Way.COMPONENT:
            return self._to_component(stanza)
        if entry.way == Way.ANSWER:
            if isinstance(stanza, IQ):
                self.packet_router.iq_router.requests.answered(stanza)
            return None
        if entry.copies and not self.routing_table.copy_counts.give_back(entry.copies):
            return None  # another session has it
        if entry.marks & StanzaMark.OURS:
            return self.packet_router.return_error(stanza)
        if entry.way == Way.ACCOUNT:
            return self._to_account(sender, entry, stanza)
        if self.routing_table.is_local(stanza.sender) and stanza.type not in _FROM_ANYWHERE:
            self.routing_table.note_sender(stanza.sender, sender)
        route = self.routing_table.way_to(JID.prepared(entry.to).domain)
        if route is None or not route.deliver(stanza, stanza.wire()):
            self.packet_router.bounce(stanza, self.routing_table.unreached(stanza))
        return None

    def _is_delivered(self, presence: Presence, entry: Routed, node: NodeId) -> bool:
        """Deliver a presence that is for sessions here alone; note one that is handed to a
        component, or to another server (CL-32).
        """
        if entry.way == Way.HERE:
            self.presences.remote.deliver(presence)
            self.offers.pass_on_presence(entry)
            return True
        if entry.way in (Way.COMPONENT, Way.FOREIGN):
            self.presences.introductions.sightings.hand_on(presence, node)
        return False

    def _to_account(self, sender: NodeId, entry: Routed, stanza: Stanza) -> Outcome:
        """Route a stanza to an account or a session, and note where its sender is."""
        if isinstance(stanza, IQ):
            self._note_component(stanza, sender)
        if not entry.passed_on and stanza.type not in _FROM_ANYWHERE:
            self.routing_table.note_sender(stanza.sender, sender)
        seeking = self.routing_table.seek_anew(stanza, sender)
        if seeking is not None:
            return self._route_behind(seeking, stanza)
        return self.packet_router.route_on(stanza)

    def _to_component(self, stanza: Stanza) -> None:
        """Deliver a stanza to a component that is connected here; if it has just hung up, to where
        it is connected now.
        """
        to = stanza.to
        route = None if to is None else self.routing_table.components.get(to.domain)
        wire = stanza.wire()
        here = isinstance(route, ComponentRoute) and route.deliver_here(stanza, wire)
        if not here and (route is None or not route.deliver(stanza, wire)):
            self.packet_router.bounce(stanza, self.routing_table.unreached(stanza))

    def _note_component(self, stanza: IQ, node: NodeId) -> None:
        """Note the node whose component asks somebody here, since the answer goes there."""
        if stanza.answerable:
            route = self.routing_table.components.get(stanza.sender.domain)
            if isinstance(route, ComponentRoute):
                route.asked_at(node, stanza)

    async def _route_behind(self, seeking: Awaitable[None], stanza: Stanza) -> None:
        try:
            await seeking
        except StanzaError as error:
            self.packet_router.bounce(stanza, error)
            return
        later = self.packet_router.route_on(stanza)
        if later is not None:
            await later

    def delivered(self, sender: NodeId, entry: Delivered) -> Outcome:
        """Take a stanza for one session here; a message goes behind those that have waited (MR-7).
        If the session has just ended, it is routed again, and handled when that is done (CL-16).
        """
        if KINDS[entry.kind] is Message and entry.about in self.flood.lines.open:
            return self._deliver_in_turn(sender, entry)
        return None if self._deliver(sender, entry) else self._routed_again(entry)

    async def told(self, sender: NodeId, entry: DeliveredToMany) -> None:
        """Take a stanza for many sessions here; for one that is not, it goes where that is now."""
        stanza, bound = entry.stanza(), self.routing_table.bound
        here: list[JID] = []
        gone: list[JID] = []
        for text in entry.sessions:
            is_here = isinstance(bound.get(text), LocalClientSession)
            (here if is_here else gone).append(JID.prepared(text))
        self.routing_table.tell(stanza, here)
        for session in gone:
            told = stanza.addressed(session)
            delivered = Delivered.of(told, told.wire(), session, ours=False)
            outcome = self.delivered(sender, delivered)
            if isinstance(outcome, Awaitable):
                await outcome

    async def _deliver_in_turn(self, sender: NodeId, entry: Delivered) -> None:
        delivered = False

        def deliver() -> None:
            nonlocal delivered
            delivered = self._deliver(sender, entry)

        await self.flood.in_turn(JID.prepared(entry.about), deliver, passes=True)
        if not delivered:
            await self._routed_again(entry)

    def _routed_again(self, entry: Delivered) -> Awaitable[None]:
        return self.packet_router.finish(JID.prepared(entry.sender))

    def _deliver(self, sender: NodeId, entry: Delivered) -> bool:
        session = self.routing_table.bound.get(entry.session)
        if not isinstance(session, LocalClientSession):
            if self.offers.passes_on(sender, entry):
                return True
        elif entry.origin and not self.routing_table.origins.is_new(entry.origin, session):
            return True  # it has it by a node that is lost (CL-15)
        stanza = entry.stanza()
        if entry.copies:
            counts = self.routing_table.copy_counts
            stanza.payload.copies = counts.elsewhere(entry.about, sender, entry.copies)
        if session is not None and session.deliver(stanza, entry.wire, ours=entry.ours):
            return True
        stanza.payload.passed_on = 1  # other nodes may wait until it is handled (CL-16)
        self.packet_router.take_back([(stanza, entry.wire, UNKNOWN)], JID.prepared(entry.session))
        return False

    async def behind(self, sender: NodeId, entry: Behind) -> None:
        """Wait until what this node got of an account's stanzas has been handled, and what it has
        passed on of them.
        """
        await self.entries.handled(sender, (entry.account,))
        await self.routing_table.settle(entry.account, entry.passed_on + 1, but=sender)

    def who_has(self, sender: NodeId, entry: WhoHas) -> Having:
        """Say which sessions of an account are here."""
        sessions = self.routing_table.sessions_here(entry.account)
        return Having([session.serial for session in sessions])


__all__ = ["StanzaEntries"]
