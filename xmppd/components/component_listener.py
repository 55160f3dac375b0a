"""The factory for wires of components, and their connections, all together."""

from functools import partial

from twisted.internet.interfaces import IAddress, IOpenSSLContextFactory, IReactorTime
from twisted.internet.protocol import ServerFactory

from xmppd.components.component_stream import ComponentContext, ComponentStream
from xmppd.net.connection_handler import ConnectionHandler, TransportBinding, WireLimits
from xmppd.net.listeners import Connections
from xmppd.session.session import Connection


class ComponentConnections(Connections):
    """All connections of components. The silent are not asked whether they are there (CO-9)."""

    def authenticated(self, connection: Connection) -> None:
        """A component has proved itself: it is a stranger no more."""
        if isinstance(connection, ConnectionHandler):
            self.unauthenticated.discard(connection)
            self.login_queue.end(connection)
            connection.go_first()

    def check_silent(self, handler: ConnectionHandler, silent_s: float) -> None:
        """Write to it, so that the kernel finds out whether there is still a way."""
        if handler.stream_handler.established:
            handler.stream_handler.ping()


class ComponentListener(ServerFactory):
    """Makes a ConnectionHandler for each component that comes by one door.

    Args:
        context: What streams share.
        connections: All connections.
        limits: What one connection may take.
        clock: The reactor's.
        tls: Contexts for TLS from the first byte; None for none. XEP-0114 knows no STARTTLS.
    """

    noisy = False

    def __init__(
        self,
        context: ComponentContext,
        connections: ComponentConnections,
        limits: WireLimits,
        clock: IReactorTime,
        *,
        tls: IOpenSSLContextFactory | None,
    ) -> None:
        self.context = context
        self.connections = connections
        self.limits = limits
        self.clock = clock
        self.tls = tls

    def buildProtocol(self, addr: IAddress | None) -> ConnectionHandler:
        """Somebody is at the door."""
        return ConnectionHandler(
            partial(ComponentStream, self.context),
            self.limits,
            TransportBinding(self.tls, direct_tls=self.tls is not None),
            self.clock,
            self.connections,
        )
