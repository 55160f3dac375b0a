"""Listener: makes the ConnectionHandler for each connection at one endpoint."""

from collections.abc import Callable

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from xmppd.config.config import StreamSettings
from xmppd.net.connection_handler import ConnectionHandler, TransportBinding
from xmppd.net.connections import Connections
from xmppd.net.wire_limits import wire_limits
from xmppd.stream.stream_handler import StreamHandler, Wire


class Listener(ServerFactory):
    """The factory of the connections of clients, servers or components at one endpoint.

    Args:
        make_stream: Makes the stream on a connection.
        connections: All connections of that kind.
        settings: The limits of one connection.
        binding: Binds the stream to its connection.
        clock: The reactor's.
        passes_on: Whether the peers pass on stanzas of others.
    """

    noisy = False

    def __init__(
        self,
        make_stream: Callable[[Wire], StreamHandler],
        connections: Connections,
        settings: StreamSettings,
        binding: TransportBinding,
        clock: IReactorTime,
        *,
        passes_on: bool = False,
    ) -> None:
        self.make_stream = make_stream
        self.connections = connections
        self.clock = clock
        self.binding = binding
        self.passes_on = passes_on
        self.use(settings)

    def use(self, settings: StreamSettings) -> None:
        """Take other settings, for new connections."""
        self._limits = wire_limits(settings, passes_on=self.passes_on)

    def buildProtocol(self, addr: IAddress | None) -> ConnectionHandler:
        """The ConnectionHandler for a new connection."""
        return ConnectionHandler(
            self.make_stream,
            self._limits,
            self.binding,
            self.clock,
            self.connections,
        )
