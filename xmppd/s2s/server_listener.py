"""The factory for wires of other servers that call us."""

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IAddress, IOpenSSLContextFactory, IReactorTime
from twisted.internet.protocol import ServerFactory

from xmppd.net.connection_handler import ConnectionHandler, TransportBinding, WireLimits
from xmppd.net.listeners import Connections
from xmppd.s2s.incoming_stream import IncomingStream
from xmppd.s2s.server_stream import ServerContext
from xmppd.stream.stream_handler import Wire


class ServerListener(ServerFactory):
    """Makes a ConnectionHandler for each server that comes by one door.

    Args:
        context: What streams share.
        connections: All connections of servers that have called us.
        limits: What one connection may take.
        clock: The reactor's.
        tls: Contexts for STARTTLS or direct TLS; None for neither.
        direct_tls: TLS begins with the first byte (:xep:`0368`).
    """

    noisy = False

    def __init__(
        self,
        context: ServerContext,
        connections: Connections,
        limits: Callable[[], WireLimits],
        clock: IReactorTime,
        *,
        tls: IOpenSSLContextFactory | None,
        direct_tls: bool = False,
    ) -> None:
        self.context = context
        self.connections = connections
        self.limits = limits
        self.clock = clock
        self.tls = tls
        self.direct_tls = direct_tls

    def buildProtocol(self, addr: IAddress | None) -> ConnectionHandler:
        """Another server is at the door."""
        return ConnectionHandler(
            self._stream,
            self.limits(),
            TransportBinding(self.tls, direct_tls=self.direct_tls),
            self.clock,
            self.connections,
        )

    def _stream(self, wire: Wire) -> IncomingStream:
        assert isinstance(wire, ConnectionHandler)
        return IncomingStream(self.context, wire, partial(self.connections.greet, wire))
