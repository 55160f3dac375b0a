"""ComponentRoute: leads to one of the connections of a component."""

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
    asked.

    Args:
        jid: The component's domain.
        max_connections: The number that may be connected at once.
        routing_table: Learns whether the component is connected.
        router: Takes back stanzas that were not read.

    Attributes:
        sessions: Its connections, the oldest first.
    """

    def __init__(
        self, jid: JID, max_connections: int, routing_table: RoutingTable, router: PacketRouter
    ) -> None:
        self.jid = jid
        self.max_connections = max_connections
        self.routing_table = routing_table
        self.router = router
        self.sessions: tuple[ComponentSession, ...] = ()
        self._asked: dict[tuple[str, str], ComponentSession] = {}
        routing_table.components[jid.domain] = self
        routing_table.away.add(jid.domain)

    @property
    def is_full(self) -> bool:
        """Whether no further connection may join."""
        return len(self.sessions) >= self.max_connections

    def join(self, session: ComponentSession) -> None:
        """Add a connection, which takes its share of the peers."""
        self.sessions += (session,)
        self.routing_table.away.discard(self.jid.domain)

    def leave(self, session: ComponentSession) -> None:
        """Remove a connection; its peers go to the others."""
        self.sessions = tuple(each for each in self.sessions if each is not session)
        if not self.sessions:
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
        sessions = self.sessions
        if not sessions:
            return False
        session = sessions[0] if len(sessions) == 1 else self._whose(stanza)
        return session.deliver(stanza, wire)

    def asked(self, session: ComponentSession, iq: IQ) -> None:
        """Remember the connection that asked, while there are several."""
        if self.max_connections == 1 or iq.to is None:
            return
        self._asked[iq.id or "", iq.to.full] = session
        if len(self._asked) > MAX_ASKED:
            del self._asked[next(iter(self._asked))]

    def _whose(self, stanza: Stanza) -> ComponentSession:
        """The connection that asked; else the peer's, which is the one with the highest lot."""
        if isinstance(stanza, IQ) and not stanza.answerable:
            asker = self._asked.pop((stanza.id or "", stanza.sender.full), None)
            if asker in self.sessions:
                return asker
        peer = stanza.sender.bare
        # Of a text: the hash of a tuple mixes its parts too little for lots to be fair.
        return max(self.sessions, key=lambda session: hash(f"{session.number} {peer}"))
