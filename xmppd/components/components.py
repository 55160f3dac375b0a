"""The components that may connect, as configured: their routes, their streams and their names."""

from dataclasses import dataclass
from pathlib import Path

from twisted.internet.interfaces import IOpenSSLContextFactory, IReactorTime
from twisted.logger import Logger

from xmppd.auth.attempts import AttemptLimiter
from xmppd.components.component_listener import ComponentCrowd, ComponentListener
from xmppd.components.component_route import ComponentRoute
from xmppd.components.component_session import ComponentSession
from xmppd.components.component_stream import ComponentContext, ConnectableComponent
from xmppd.config import Component
from xmppd.events import Events
from xmppd.net.connection_handler import WireLimits
from xmppd.net.listeners import DoorLimits
from xmppd.parts import DiscoItem, Parts
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID

_OTHERS = 0o077
_log = Logger()


@dataclass(frozen=True, slots=True)
class ComponentConnected:
    """A component has one more connection.

    Attributes:
        session: What delivers to it.
        first: Whether it had none before.
    """

    session: ComponentSession
    first: bool


@dataclass(frozen=True, slots=True)
class ComponentDisconnected:
    """A component has one connection less.

    Attributes:
        session: What delivered to it.
        last: Whether it has no other.
    """

    session: ComponentSession
    last: bool


class Components:
    """Who may connect as a component, and who has.

    Args:
        components: As configured.
        domain: The server's own, for what it says in its own name.
        attempts: Slows down whoever guesses; counts apart from those of clients.
        limits: How many connections there may be, and how long they may be silent.

    Attributes:
        routes: By domain.
        crowd: All connections.
    """

    def __init__(
        self,
        components: tuple[Component, ...],
        domain: JID,
        routing_table: RoutingTable,
        router: PacketRouter,
        parts: Parts,
        events: Events,
        attempts: AttemptLimiter,
        clock: IReactorTime,
        limits: DoorLimits,
    ) -> None:
        self.parts = parts
        self.attempts = attempts
        self.events = events
        self.clock = clock
        self.crowd = ComponentCrowd(limits, clock)
        self.routes: dict[str, ComponentRoute] = {}
        self._listeners: list[ComponentListener] = []
        self._items: dict[str, DiscoItem] = {}
        connectable: dict[str, ConnectableComponent] = {}
        for component in components:
            jid = JID.parse(component.name)
            route = ComponentRoute(jid, component.max_connections, routing_table, router)
            self.routes[component.name] = route
            self._items[component.name] = DiscoItem(jid, component.title)
            connectable[component.name] = ConnectableComponent(route, component.secret)
            warn_of_open_file(component.secret_file)
        self._context = ComponentContext(
            domain, connectable, router, attempts, self._connected, self._disconnected
        )

    def listener(self, limits: WireLimits, tls: IOpenSSLContextFactory | None) -> ComponentListener:
        """The factory for a door.

        Args:
            limits: What one connection may take.
            tls: Contexts for TLS from the first byte; None for none.
        """
        listener = ComponentListener(self._context, self.crowd, limits, self.clock, tls=tls)
        self._listeners.append(listener)
        return listener

    def start(self) -> None:
        """Look after the connections from now on, if there can be any."""
        if self.routes:
            self.crowd.start()

    def use(self, limits: WireLimits, door_limits: DoorLimits) -> None:
        """Go by other limits; those of a connection hold for the ones made from now on."""
        self.crowd.limits = door_limits
        for listener in self._listeners:
            listener.limits = limits

    def _connected(self, session: ComponentSession) -> None:
        self.crowd.introduced(session.connection)
        domain = session.jid.domain
        count = len(self.routes[domain].sessions)
        if count == 1:
            self.parts.items.append(self._items[domain])
        _log.info("{domain} has connected ({count})", domain=domain, count=count)
        self.events.fire(ComponentConnected(session, count == 1))

    def _disconnected(self, session: ComponentSession) -> None:
        domain = session.jid.domain
        count = len(self.routes[domain].sessions)
        if count == 0:
            self.parts.items.remove(self._items[domain])
        _log.info("{domain} has hung up ({count} left)", domain=domain, count=count)
        self.events.fire(ComponentDisconnected(session, count == 0))


def warn_of_open_file(secret_file: str) -> None:
    """Tell the administrator of a secret that others on this machine may read."""
    if secret_file and Path(secret_file).stat().st_mode & _OTHERS:
        _log.warn("{path} may be read by others; chmod 600 it", path=secret_file)
