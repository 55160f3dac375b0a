"""OutgoingConnections: the connections that we make to other servers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime

from xmppd.cluster.membership import Membership
from xmppd.config.config import StreamSettings
from xmppd.host.machine import Descriptors
from xmppd.net.connection_handler import ConnectionHandler, TransportBinding, shared_preparing
from xmppd.net.outgoing_tls import OutgoingTLS
from xmppd.net.wire_counts import WireCounts
from xmppd.net.wire_limits import wire_limits
from xmppd.resolve.connector import Connector
from xmppd.resolve.lost import no_stream
from xmppd.resolve.targets import Target
from xmppd.s2s.fair_queue import FairQueue
from xmppd.s2s.outgoing_stream import OutgoingStream
from xmppd.s2s.server_stream import ServerContext
from xmppd.stanza import StreamCondition, StreamError
from xmppd.store.cache import Cache

DISBELIEF_S = 3_600.0
"""The time for which it is remembered that a server rejects a certificate of ours."""

MAX_DISBELIEVERS = 10_000
"""Servers of which that is remembered."""


class Disbelief(NamedTuple):
    """A server's rejection of a certificate of ours.

    Attributes:
        until: The time up to which that is remembered, on the clock.
        by_tls: Whether TLS itself has failed over it; else EXTERNAL has.
    """

    until: float
    by_tls: bool


BELIEVED = Disbelief(0.0, by_tls=False)


class OutgoingConnections:
    """The connections that we make, and their :class:`~xmppd.net.connection_handler.Admission`.

    Args:
        context: Shared by all streams.
        connector: Finds other servers.
        tls: Our certificates.
        settings: The limits of one connection.
        clock: The reactor's.
        descriptors: The number of connections there may be, of all kinds together.

    Attributes:
        handlers: Those that have arrived.
        preparing: The time that preparing addresses has taken for all of them together (CH-7).
        traffic: Counts what those carried that are gone, and the errors of all.
        on_closed: Called with each that is gone.
        turns: Those that are on their way, and those that wait.
        membership: Says whether anything may be taken from a wire now.
        reached: The number of servers that were reached when a stream was wanted.
        tried: The number of all of those.
    """

    membership: Membership

    def __init__(
        self,
        context: ServerContext,
        connector: Connector,
        tls: OutgoingTLS,
        settings: StreamSettings,
        clock: IReactorTime,
        descriptors: Descriptors,
    ) -> None:
        self.handlers: set[ConnectionHandler] = set()
        self.preparing = shared_preparing()
        self.traffic = WireCounts()
        self.on_closed: Callable[[ConnectionHandler], None] = lambda handler: None
        self.turns = FairQueue(0)
        self.reached = self.tried = 0
        self._context = context
        self.connector = connector
        self._tls = tls
        self.clock = clock
        self._descriptors = descriptors
        self._empty: Deferred[None] | None = None
        self.use(settings)
        self._disbelief: Cache[dict[str, Disbelief]] = Cache(MAX_DISBELIEVERS)

    def use(self, settings: StreamSettings) -> None:
        """Connections from now on go by these settings."""
        self._limits = wire_limits(settings, passes_on=True)

    def look_for(self, at_once: int) -> None:
        """Have so many be on their way at a time, from the next one that arrives on."""
        self.turns.at_once = at_once

    async def call(self, local: str, remote: str, on_behalf_of: str) -> OutgoingStream:
        """Open a stream to another server, in the name of one of our domains.

        Args:
            local: Our domain.
            remote: Theirs.
            on_behalf_of: The sender for whom it is made; senders take turns.

        Returns:
            A stream that is negotiated.

        Raises:
            StanzaError: The server cannot be reached.
            Disbelieved: It may accept us if it is tried again.
        """
        await self.turns.begin((local, remote), on_behalf_of)
        try:
            handler = await self.connector.connect(remote, _Call(self, local, remote))
            stream = _stream_on(handler)
            self.reached += 1
        finally:
            self.turns.end()
            self.tried += 1
        return stream

    def forget(self, remote: str) -> None:
        """Show a server our certificates again, even if it has rejected them."""
        self._disbelief.forget(remote)

    def forget_all(self) -> None:
        """Show all servers our certificates: they may have changed."""
        self._disbelief = Cache(MAX_DISBELIEVERS)

    def make(self, local: str, remote: str, target: Target) -> ConnectionHandler:
        """Our end of a connection with a target."""
        disbelief = self._disbelief_of(local, remote)
        shows = self._tls.has_certificate(local) and not disbelief.by_tls
        try:
            tls = self._tls.towards(remote, local, direct_tls=target.direct_tls, shows=shows)
        except ValueError as error:
            raise no_stream(str(error)) from error
        return ConnectionHandler(
            partial(
                OutgoingStream,
                self._context,
                local,
                remote,
                shows_certificate=shows,
                may_authenticate=shows and disbelief is BELIEVED,
            ),
            self._limits,
            TransportBinding(tls, direct_tls=target.direct_tls),
            self.clock,
            self,
        )

    async def settle(self, stream: OutgoingStream) -> None:
        """Wait until a stream is negotiated; and remember whether our certificate was believed."""
        try:
            await stream.settled()
        finally:
            if stream.disbelieved:
                self._remember(stream)

    def _remember(self, stream: OutgoingStream) -> None:
        if stream.remote not in self._disbelief:
            self._disbelief[stream.remote] = {}
        until = self.clock.seconds() + DISBELIEF_S
        disbelief = Disbelief(until, by_tls=stream.disbelieved_by_tls)
        self._disbelief[stream.remote][stream.local] = disbelief

    def _disbelief_of(self, local: str, remote: str) -> Disbelief:
        """A server's rejection of this domain's certificate, as far as it is known."""
        if remote not in self._disbelief:
            return BELIEVED
        disbelief = self._disbelief[remote].get(local, BELIEVED)
        return disbelief if self.clock.seconds() < disbelief.until else BELIEVED

    def close(self, error: StreamError) -> Deferred[None]:
        """Close every stream, each told why; done when the last connection is gone."""
        empty = self._empty = Deferred[None]()
        for handler in tuple(self.handlers):
            handler.close(error)
        self._tell_if_empty()
        return empty

    def reset(self) -> None:
        """Close every stream, since this node may not act."""
        for handler in tuple(self.handlers):
            handler.close(StreamError(StreamCondition.RESET))

    # -- as an Admission ---------------------------------------------------------------------------

    def opened(self, handler: ConnectionHandler) -> None:
        """Count a new connection, or close it if there is no room (CH-9)."""
        self.handlers.add(handler)
        if not self._descriptors.have_room_for(handler.descriptor):
            handler.transport.abortConnection()

    def admit(self, handler: ConnectionHandler) -> Deferred[None] | None:
        """Admit the login at once, since we have made the connection."""
        return None

    def closed(self, handler: ConnectionHandler) -> None:
        """Forget a connection that is gone."""
        self.handlers.discard(handler)
        self.on_closed(handler)
        self.traffic.gone.add(handler.counts)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._empty is not None and not self.handlers:
            empty, self._empty = self._empty, None
            empty.callback(None)


@dataclass(frozen=True)
class _Call:
    """The visitor of a target: a stream for one of our domains to one of theirs."""

    outgoing_connections: OutgoingConnections
    local: str
    remote: str

    def make(self, target: Target) -> ConnectionHandler:
        """The protocol for a target that is connected."""
        return self.outgoing_connections.make(self.local, self.remote, target)

    async def settle(self, protocol: IProtocol) -> None:
        """Wait until its stream is negotiated."""
        await self.outgoing_connections.settle(_stream_on(protocol))


def _stream_on(protocol: IProtocol) -> OutgoingStream:
    assert isinstance(protocol, ConnectionHandler)
    stream = protocol.stream_handler
    if not isinstance(stream, OutgoingStream):
        raise no_stream("the connection was lost as soon as it was made")
    return stream
