"""StreamByALPN: an XMPP stream on a port that HTTP has as well (:xep:`0368`, HT-12)."""

from twisted.internet.interfaces import ISystemHandle
from twisted.python.failure import Failure

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.tls import ALPN, application_protocol
from xmppd.net.transport import Transport


class StreamByALPN:
    """Has a connection whose client has asked for XMPP in its TLS handshake.

    Args:
        transport: Of the connection, with TLS.
        handler: Of the stream.
    """

    def __init__(self, transport: Transport, handler: ConnectionHandler) -> None:
        self._transport = transport
        self._handler = handler

    def begin(self) -> None:
        """Let the stream begin."""
        self._handler.makeConnection(self._transport)  # type: ignore[no-untyped-call]

    def dataReceived(self, data: bytes) -> None:
        """Take bytes that came."""
        self._handler.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        """Note that the connection is gone."""
        self._handler.connectionLost(reason)

    def sweep(self, now: float) -> None:
        """Do nothing: it is one of the connections of clients, which are swept."""


def asks_for_stream(transport: Transport) -> bool:
    """Whether the client of a connection has asked for XMPP; what asks for nothing is HTTP."""
    return application_protocol(ISystemHandle(transport)) == ALPN["client"]
