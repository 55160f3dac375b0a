"""ComponentRoute: leads to one of the connections of a component."""

from collections.abc import Collection, Sequence
from hashlib import blake2b

from xmppd.cluster.node import NodeId
from xmppd.components.component_elsewhere import ComponentElsewhere, ComponentSeat
from xmppd.components.component_session import ComponentSession
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.backlog import Waiting
from xmppd.stanza import IQ, JID, Stanza

MAX_ASKED = 10_000
"""Requests of one component whose connection is remembered; the oldest are forgotten."""


class ComponentRoute:
    """The route to one component, by as many connections as it has (CO-5 to CO-8).

    A peer stays with one connection, so that what it says keeps its order; only the peers of a
    connection that is lost move, and some move to a new one. An answer goes to the connection that
    asked. Connections at other nodes are no different, and every node finds the same one for a peer
    (CL-91).

    Args:
        jid: The component's domain.
        max_connections: The number that may be connected at once.
        routing_table: Learns whether the component is connected.
        router: Takes back stanzas that were not read.

    Attributes:
        sessions: Its connections here, the oldest first.
        elsewhere: Those at other nodes.
    """

    def __init__(
        self, jid: JID, max_connections: int, routing_table: RoutingTable, router: PacketRouter
    ) -> None:
        self.jid = jid
        self.max_connections = max_connections
        self.routing_table = routing_table
        self.router = router
        self.sessions: tuple[ComponentSession, ...] = ()
        self.elsewhere: tuple[ComponentElsewhere, ...] = ()
        self._seats: tuple[ComponentSeat, ...] = ()
        self._asked: dict[tuple[str, str], ComponentSession | NodeId] = {}
        routing_table.components[jid.domain] = self
        routing_table.away.add(jid.domain)

    @property
    def is_full(self) -> bool:
        """Whether no further connection may join."""
        return len(self._seats) >= self.max_connections

    @property
    def count(self) -> int:
        """The number of its connections in the service."""
        return len(self._seats)

    def join(self, session: ComponentSession) -> None:
        """Add a connection, which takes its share of the peers."""
        self.sessions += (session,)
        self._look()

    def leave(self, session: ComponentSession) -> None:
        """Remove a connection; its peers go to the others."""
        self.sessions = tuple(each for each in self.sessions if each is not session)
        self._look()

    def note(self, node: NodeId, numbers: Collection[int]) -> list[ComponentElsewhere]:
        """Note which connections another node has; returns the new ones."""
        known = {each.number: each for each in self.elsewhere if each.node == node}
        for number, each in known.items():
            each.closed = number not in numbers
        bus = self.routing_table.bus
        new = [ComponentElsewhere(node, number, bus) for number in numbers if number not in known]
        self.elsewhere = (*(each for each in self.elsewhere if not each.closed), *new)
        self._look()
        return new

    def _look(self) -> None:
        """Note that there are other connections than before."""
        self._seats = (*self.sessions, *self.elsewhere)
        if self._seats:
            self.routing_table.away.discard(self.jid.domain)
        else:
            self._asked.clear()
            self.routing_table.away.add(self.jid.domain)

    def hand_on(self, unread: list[Waiting]) -> None:
        """Pass the unread stanzas of a lost connection on to the others, in order. Without another,
        they are routed again, so that requests are answered with an error.
        """
        for number, (stanza, wire, _) in enumerate(unread):
            if not self.deliver(stanza, wire):
                self.router.take_back(unread[number:], self.jid)
                return

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza to the connection of its peer; False if there is none."""
        seats = self._seats
        if not seats:
            return False
        seat = seats[0] if len(seats) == 1 else self._whose(stanza, seats)
        return seat.deliver(stanza, wire)

    def deliver_here(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza of another node to a connection here; False if there is none."""
        here = self.sessions
        return bool(here) and self._whose(stanza, here).deliver(stanza, wire)

    def asked(self, session: ComponentSession, iq: IQ) -> None:
        """Remember the connection that asked, while there are several."""
        if self.max_connections > 1:
            self._remember(iq, session)

    def asked_at(self, node: NodeId, iq: IQ) -> None:
        """Remember the node whose connection has asked somebody here."""
        if self.max_connections > 1:
            self._remember(iq, node)

    def _remember(self, iq: IQ, asker: ComponentSession | NodeId) -> None:
        if iq.to is None:
            return
        self._asked[iq.id or "", iq.to.full] = asker
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def _whose(self, stanza: Stanza, seats: Sequence[ComponentSeat]) -> ComponentSeat:
        """The connection that asked, or one of its node; else the peer's, which is the one with the
        highest lot.
        """
        if isinstance(stanza, IQ) and not stanza.answerable:
            asker = self._asked.pop((stanza.id or "", stanza.sender.full), None)
            for seat in seats:
                if seat is asker or (isinstance(seat, ComponentElsewhere) and seat.node == asker):
                    return seat
        peer = stanza.sender.bare
        return max(seats, key=lambda seat: _drawn(seat.lot, peer))


def _drawn(lot: str, peer: str) -> bytes:
    """What a connection draws for a peer, the same at every node."""
    return blake2b(f"{lot} {peer}".encode(), digest_size=8).digest()
