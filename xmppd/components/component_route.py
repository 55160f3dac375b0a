"""Where a component's stanzas go: to one of the connections that speak for its domain."""

from xmppd.components.component_session import ComponentSession
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.backlog import Waiting
from xmppd.stanza import IQ, JID, Stanza

MAX_ASKED = 10_000
"""Requests of one component whose answers we know where to take; the oldest are forgotten."""


class ComponentRoute:
    """The route to one component, by as many connections as it has (CO-5 to CO-8).

    A peer stays with one connection, so that what it says keeps its order; only the peers of a
    connection that is lost move, and some to a new one. An answer goes to the connection that
    asked.

    Args:
        jid: The component's domain.
        max_connections: How many may be connected at once.
        routing_table: Learns whether anybody is there.
        router: Takes back what nobody has read.

    Attributes:
        sessions: The connections there are, the first one first.
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
        """Whether no other connection may join."""
        return len(self.sessions) >= self.max_connections

    def join(self, session: ComponentSession) -> None:
        """One more connection takes its share of the peers."""
        self.sessions += (session,)
        self.routing_table.away.discard(self.jid.domain)

    def leave(self, session: ComponentSession) -> None:
        """A connection is gone: its peers go to the others."""
        self.sessions = tuple(each for each in self.sessions if each is not session)
        if not self.sessions:
            self._asked.clear()
            self.routing_table.away.add(self.jid.domain)

    def hand_on(self, unread: list[Waiting]) -> None:
        """What a connection that is gone has not read goes to the others, in order.

        If nobody is left, whoever waits for an answer is told.
        """
        for number, (stanza, wire, _) in enumerate(unread):
            if not self.deliver(stanza, wire):
                self.router.take_back(unread[number:], self.jid)
                return

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Hand a stanza to the connection whose it is; False if there is none."""
        sessions = self.sessions
        if not sessions:
            return False
        session = sessions[0] if len(sessions) == 1 else self._whose(stanza)
        return session.deliver(stanza, wire)

    def asked(self, session: ComponentSession, iq: IQ) -> None:
        """Remember who asked, as long as several might be answered."""
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
