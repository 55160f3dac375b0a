"""WebSockets: the paths at which clients ask for one (:rfc:`7395`)."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator
from functools import partial
from hashlib import sha1

from xmppd.config.config import StreamSettings, WebSettings
from xmppd.net.connection_handler import TransportBinding
from xmppd.net.listener import Listeners
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.message_deflate import agreed
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse
from xmppd.web.web_socket_framing import WEB_SOCKET, WEB_SOCKET_PATH
from xmppd.web.web_socket_wire import WebSocketWire

PATHS = (WEB_SOCKET_PATH, "/xmpp-websocket")
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# All have the same, of those that are encrypted and those that are not.
_BINDINGS = {
    encrypted: TransportBinding(None, is_secure=encrypted, framing=WEB_SOCKET)
    for encrypted in (False, True)
}
_VERSION = (("Sec-WebSocket-Version", "13"),)


class WebSockets:
    """Hands connections over to WebSocket, and makes a client's stream on each.

    Args:
        listeners: Make the ConnectionHandlers.
        web: Says whose pages may be clients, and whether messages may be compressed.
        stream: The limits of a stream.
    """

    def __init__(self, listeners: Listeners, web: WebSettings, stream: StreamSettings) -> None:
        self.listeners = listeners
        self.web = web
        self.stream = stream

    def use(self, web: WebSettings) -> None:
        """Go by other settings."""
        self.web = web

    def use_stream(self, stream: StreamSettings) -> None:
        """Take other limits, for new connections."""
        self.stream = stream

    def paths(self) -> Iterator[HTTPPath]:
        """Where it is asked for."""
        for path in PATHS:
            yield HTTPPath(path=path, access=anybody, handle=self.answer)

    def answer(self, request: HTTPRequest) -> HTTPResponse:
        """Hand the connection over (WS-8).

        Raises:
            HTTPError: It was not asked for as it has to be.
        """
        key = self._checked(request)
        accept = b64encode(sha1(key.encode() + _MAGIC).digest()).decode()  # noqa: S324  # RFC 6455
        make_handler = partial(self.listeners.client, _BINDINGS[request.encrypted])
        offers = request.header("sec-websocket-extensions")
        deflate = agreed(offers) if self.web.compression else None
        extensions = () if deflate is None else (("Sec-WebSocket-Extensions", deflate.header),)
        clock, ping_timeout_s = self.listeners.clock, self.stream.ping_timeout_s
        return HTTPResponse(
            101,
            headers=(
                ("Upgrade", "websocket"),
                ("Connection", "Upgrade"),
                ("Sec-WebSocket-Accept", accept),
                ("Sec-WebSocket-Protocol", "xmpp"),
                *extensions,
            ),
            becomes=lambda transport: WebSocketWire(
                transport, request, make_handler, clock, ping_timeout_s, deflate
            ),
        )

    def _checked(self, request: HTTPRequest) -> str:
        """The key of a request that is as it has to be (:rfc:`6455#section-4.2.1`)."""
        if request.header("upgrade").lower() != "websocket" or "upgrade" not in _tokens(
            request.header("connection").lower()
        ):
            raise HTTPError(400, "This is a WebSocket endpoint; send Upgrade: websocket.")
        if request.header("sec-websocket-version") != "13":
            raise HTTPError(400, "Use WebSocket version 13.", _VERSION)
        if "xmpp" not in _tokens(request.header("sec-websocket-protocol")):
            raise HTTPError(400, "Use the subprotocol xmpp (RFC 7395).")
        origin = request.header("origin")
        if origin and "*" not in self.web.origins and origin not in self.web.origins:
            raise HTTPError(403, "Pages of this origin may not connect here.")
        key = request.header("sec-websocket-key")
        try:
            valid = len(b64decode(key, validate=True)) == 16
        except Base64Error:
            valid = False
        if not valid:
            raise HTTPError(400, "Sec-WebSocket-Key must be 16 bytes in Base64.")
        return key


def _tokens(header: str) -> list[str]:
    return [token.strip() for token in header.split(",")]
