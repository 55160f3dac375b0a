"""A client by WebSocket in memory: the frames are those of the library websockets."""

from collections.abc import Mapping

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from xmppd.net.connection_handler import ConnectionHandler
from xmppd.stanza import ns
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.testing.network import Home
from xmppd.testing.web import WebClient
from xmppd.web.web_socket_framing import FRAMING
from xmppd.web.web_socket_wire import WebSocketWire

HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Protocol": "xmpp",
}


class WebSocketClient(WebClient):
    """Speaks XMPP by WebSocket.

    Attributes:
        frames: The library's side of the connection.
        wire: The server's side of it.
        connection: Its ConnectionHandler.
    """

    def __init__(
        self, house: Home, address: str = "192.0.2.1", *, headers: Mapping[str, str] = HANDSHAKE
    ) -> None:
        super().__init__(house, address)
        self.ask("GET", "/ws", headers=headers)
        handshake = self.answer()
        assert handshake.status == 101, handshake.text
        self.frames = ClientProtocol(parse_uri("ws://montague.lit/ws"), state=State.OPEN)
        wire = self.handler._then
        assert isinstance(wire, WebSocketWire)
        assert wire.handler is not None
        self.wire = wire
        self.connection: ConnectionHandler = wire.handler
        self._stream = self.connection.stream_handler

    @property
    def stanza_handler(self) -> StanzaHandler:
        """The server's side of the stream."""
        assert isinstance(self._stream, StanzaHandler)
        return self._stream

    def framed(self, *texts: str) -> bytes:
        """The bytes of these messages, each in a frame."""
        for text in texts:
            self.frames.send_text(text.encode())
        return b"".join(self.frames.data_to_send())

    def say(self, *texts: str) -> None:
        """Send messages, all at once."""
        self.send(self.framed(*texts))

    def heard(self) -> list[str]:
        """The messages that came since the last look."""
        return [bytes(each.data).decode() for each in self.came() if each.opcode is Opcode.TEXT]

    def came(self) -> list[Frame]:
        """The frames that came since the last look."""
        self.frames.receive_data(self.raw())
        return [each for each in self.frames.events_received() if isinstance(each, Frame)]

    @property
    def close_code(self) -> int | None:
        """The code with which the server has closed; None while it has not."""
        for each in self.came():
            if each.opcode is Opcode.CLOSE:
                return Close.parse(bytes(each.data)).code
        return None

    def open(self, domain: str = "montague.lit") -> None:
        """Begin a stream."""
        self.say(f"<open xmlns='{FRAMING}' to='{domain}' version='1.0'/>")

    def log_in(self, name: str, resource: str = "1") -> None:
        """Log in and bind a resource; what came meanwhile is thrown away."""
        self.open()
        self.stanza_handler.authenticated(self.house.jid(name))
        self.connection.restart()
        self.open()
        self.say(
            f"<iq xmlns='jabber:client' type='set' id='bind'><bind xmlns='{ns.BIND}'>"
            f"<resource>{resource}</resource></bind></iq>"
        )
        self.heard()


__all__ = ["HANDSHAKE", "WebSocketClient"]
