"""Callers: go to other servers' doors and open streams there."""

from collections.abc import Callable
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from xmppd.net.connection_handler import ConnectionHandler, WireLimits
from xmppd.net.outgoing_tls import OutgoingTLS
from xmppd.s2s.connector import Connector
from xmppd.s2s.lost import no_stream
from xmppd.s2s.outgoing_stream import OutgoingStream
from xmppd.s2s.server_stream import ServerContext
from xmppd.s2s.targets import Target
from xmppd.s2s.turns import Turns
from xmppd.stanza import StreamError


class Callers:
    """The connections that we make, and their :class:`~xmppd.net.connection_handler.Door`.

    Args:
        context: What streams share.
        connector: Finds the way.
        tls: What we show on it.
        limits: What one connection may take of us.
        clock: The reactor's.
        at_once: How many may be on their way.

    Attributes:
        handlers: Those that have arrived.
        turns: Those that are on their way, and who waits.
    """

    def __init__(
        self,
        context: ServerContext,
        connector: Connector,
        tls: OutgoingTLS,
        limits: Callable[[], WireLimits],
        clock: IReactorTime,
        *,
        at_once: int,
    ) -> None:
        self.handlers: set[ConnectionHandler] = set()
        self.turns = Turns(at_once)
        self._context = context
        self._connector = connector
        self._tls = tls
        self._limits = limits
        self._clock = clock
        self._empty: Deferred[None] | None = None

    async def call(self, local: str, remote: str, on_behalf_of: str) -> OutgoingStream:
        """Open a stream to another server, in the name of one of our domains.

        Args:
            local: Our domain.
            remote: Theirs.
            on_behalf_of: Who wants it; all of them get their turn.

        Raises:
            StanzaError: There is no way.
        """
        await self.turns.begin(on_behalf_of)
        try:
            handler = await self._connector.connect(remote, partial(self._made, local, remote))
        finally:
            self.turns.end()
        assert isinstance(handler, ConnectionHandler)
        stream = handler.stream_handler
        assert isinstance(stream, OutgoingStream)
        return stream

    def _made(self, local: str, remote: str, target: Target) -> ConnectionHandler:
        try:
            tls = self._tls.towards(remote, local, direct_tls=target.direct_tls)
        except ValueError as error:
            raise no_stream(str(error)) from error
        has_certificate = self._tls.has_certificate(local)
        return ConnectionHandler(
            partial(OutgoingStream, self._context, local, remote, has_certificate=has_certificate),
            self._limits(),
            tls,
            self._clock,
            self,
            direct_tls=target.direct_tls,
        )

    def close(self, error: StreamError) -> Deferred[None]:
        """Close every stream, each told why; done when the last connection is gone."""
        empty = self._empty = Deferred[None]()
        for handler in tuple(self.handlers):
            handler.close(error)
        self._tell_if_empty()
        return empty

    # -- as a Door ------------------------------------------------------------------------------

    def come_in(self, handler: ConnectionHandler) -> None:
        """A connection was made."""
        self.handlers.add(handler)

    def admit(self, handler: ConnectionHandler) -> Deferred[None] | None:
        """Whom we have called may speak."""
        return None

    def left(self, handler: ConnectionHandler) -> None:
        """The connection is gone."""
        self.handlers.discard(handler)
        self._tell_if_empty()

    def _tell_if_empty(self) -> None:
        if self._empty is not None and not self.handlers:
            empty, self._empty = self._empty, None
            empty.callback(None)
