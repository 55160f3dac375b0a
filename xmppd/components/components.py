"""The components that may connect, as configured: their routes, their streams and their names."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from twisted.logger import Logger

from xmppd.auth.attempts import AttemptLimiter
from xmppd.cluster.node import NodeId
from xmppd.components.component_connections import ComponentConnections
from xmppd.components.component_route import ComponentRoute
from xmppd.components.component_session import ComponentSession
from xmppd.components.component_stream import (
    ComponentContext,
    ComponentStream,
    ConnectableComponent,
)
from xmppd.components.component_trust import ComponentTrust
from xmppd.disco.disco import Disco, Says
from xmppd.disco.info import DiscoInfo, DiscoItem
from xmppd.events import OWNER, Events, Undo
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.stanza import JID, Message
from xmppd.stream.stream_handler import Wire

_OTHERS = 0o077
_log = Logger()


@dataclass(frozen=True, slots=True)
class ComponentConnected:
    """A component has one more connection.

    Attributes:
        session: Delivers to it.
        first: Whether it had none before.
    """

    session: ComponentSession
    first: bool


@dataclass(frozen=True, slots=True)
class ComponentDisconnected:
    """A component has one connection less.

    Attributes:
        session: Delivered to it.
        last: Whether it has no other.
    """

    session: ComponentSession
    last: bool


class Components:
    """The components that may connect, and those that have.

    Args:
        trust: The components that may connect, with their grants.
        attempts: Slows down guesses, counted apart from those of clients.
        connections: All connections.

    Attributes:
        routes: By domain.
    """

    def __init__(
        self,
        trust: ComponentTrust,
        router: PacketRouter,
        disco: Disco,
        events: Events,
        attempts: AttemptLimiter,
        connections: ComponentConnections,
    ) -> None:
        self.domains = router.routing_table.domains
        self.trust = trust
        self.disco = disco
        self.events = events
        self.attempts = attempts
        self.connections = connections
        self.routes: dict[str, ComponentRoute] = {}
        self._titles: dict[str, str] = {}
        self._take_item: dict[str, Undo] = {}
        connectable: dict[str, ConnectableComponent] = {}
        for component in trust.components:
            jid = JID.parse(component.name)
            route = ComponentRoute(jid, component.max_connections, router.routing_table, router)
            self.routes[component.name] = route
            self._titles[component.name] = component.title
            connectable[component.name] = ConnectableComponent(
                route, component.secret, trust.voice(component)
            )
            warn_of_open_file(component.secret_file)
        self._context = ComponentContext(
            trust.domain,
            connectable,
            router,
            attempts,
            router.routing_table.membership.id,
            self._connected,
            self._disconnected,
        )

    def _announce(self, session: ComponentSession) -> None:
        """Tell a component what it is granted."""
        for child in self.trust.announced(session.jid):
            message = Message.make(session.jid, self.trust.domain, child)
            session.deliver(message, message.wire())
        self.trust.tell_who_is_here(session.jid.domain, session)

    def stream(self, wire: Wire) -> ComponentStream:
        """The stream on a new connection."""
        return ComponentStream(self._context, wire)

    def start(self) -> None:
        """Begin to look after the connections, if there can be any."""
        if self.routes:
            self.connections.start()

    def numbers(self, domain: str) -> list[int]:
        """The connections of a component at this node."""
        return [session.number for session in self.routes[domain].sessions]

    def note(self, node: NodeId, domain: str, numbers: Collection[int]) -> None:
        """Note which connections of a component another node has from now on (CL-91)."""
        route = self.routes.get(domain)
        if route is None:
            return  # it is not in our configuration yet
        new = route.note(node, numbers)
        self._look(route)
        for each in new:
            self.trust.tell_who_is_here(domain, each)

    def _look(self, route: ComponentRoute) -> None:
        """List a component among the server's items while it has a connection; without one, it is
        lost for everybody.
        """
        domain, is_listed = route.jid.domain, route.jid.domain in self._take_item
        if route.count and not is_listed:
            item = DiscoItem(route.jid, self._titles[domain])
            self._take_item[domain] = self.disco.put(Says(DiscoInfo(items=(item,))), OWNER)
        elif is_listed and not route.count:
            self._take_item.pop(domain)()
            self.trust.forget(domain)
            for ours in self.domains:
                self.events.fire(RemoteServerLost(ours, domain))

    def _connected(self, session: ComponentSession) -> None:
        self.connections.authenticated(session.connection)
        domain = session.jid.domain
        route = self.routes[domain]
        self._look(route)
        _log.info("{domain} has connected ({count})", domain=domain, count=route.count)
        self._announce(session)
        self.events.fire(ComponentConnected(session, route.count == 1))

    def _disconnected(self, session: ComponentSession) -> None:
        domain = session.jid.domain
        route = self.routes[domain]
        _log.info(
            "{domain} disconnected; connections left: {count}", domain=domain, count=route.count
        )
        self.events.fire(ComponentDisconnected(session, not route.count))
        self._look(route)


def warn_of_open_file(secret_file: str) -> None:
    """Warn the administrator of a secret that others on this machine may read."""
    if secret_file and Path(secret_file).stat().st_mode & _OTHERS:
        _log.warn("others may read {path}; run: chmod o-r {path}", path=secret_file)
