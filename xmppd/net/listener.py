"""Listener: makes the ConnectionHandler for each connection at one endpoint."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import ServerFactory

from xmppd.config.config import Config, ListenSettings, StreamSettings
from xmppd.net.connection_handler import ConnectionHandler, TransportBinding
from xmppd.net.connections import Connections
from xmppd.net.tls import TLS
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


@dataclass(frozen=True)
class StreamKind:
    """What the connections of clients, servers or components have in common.

    Attributes:
        make_stream: Makes the stream on a connection.
        connections: All of them.
        relays: Whether the peers pass on what others have said to them.
    """

    make_stream: Callable[[Wire], StreamHandler]
    connections: Connections
    relays: bool = False


class Listeners:
    """The listeners of a server, one for each endpoint.

    Args:
        kinds: By the names that they have in ``listen.kind``.
        tls: The certificates; None if there are none.
        clock: The reactor's.
        config: What streams of each kind may take.
    """

    def __init__(
        self, kinds: Mapping[str, StreamKind], tls: TLS | None, clock: IReactorTime, config: Config
    ) -> None:
        self.kinds = kinds
        self.tls = tls
        self.clock = clock
        self._listeners: list[tuple[ListenSettings, Listener]] = []
        self.use(config)

    def use(self, config: Config) -> None:
        """Limit connections from now on as this configuration does."""
        self._config = config
        for listen, listener in self._listeners:
            listener.use(config.streams(listen.kind))

    def listener(self, listen: ListenSettings) -> Listener:
        """The factory for those who come in by an endpoint."""
        kind = self.kinds[listen.kind]
        listener = Listener(
            kind.make_stream,
            kind.connections,
            self._config.streams(listen.kind),
            self._binding(listen),
            self.clock,
            passes_on=kind.relays,
        )
        self._listeners.append((listen, listener))
        return listener

    def client(self, binding: TransportBinding) -> ConnectionHandler:
        """A new connection of a client that comes by another way than an endpoint of ours."""
        kind = self.kinds["client"]
        limits = wire_limits(self._config.streams("client"))
        return ConnectionHandler(kind.make_stream, limits, binding, self.clock, kind.connections)

    def _binding(self, listen: ListenSettings) -> TransportBinding:
        """The way in which streams are bound to the connections there."""
        if self.tls is None or listen.tls == "none":
            return TransportBinding(None)
        direct_tls = listen.tls == "direct"
        factory = self.tls.context_factory(
            "server" if listen.kind == "server" else "client", direct_tls=direct_tls
        )
        return TransportBinding(factory, direct_tls=direct_tls)
