"""WebSocket over real sockets, in the hub and out of it, by another implementation."""

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from xmppd.config.config import ListenSettings
from xmppd.testing.house import House, house_config
from xmppd.web.web_socket_framing import FRAMING


class HubTests(TestCase):
    endpoint = "epoll"

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.house = House(config=house_config("localhost"), plugins=("disco", "ping"))
        endpoint = serverFromString(reactor, f"{self.endpoint}:0:interface=127.0.0.1")
        listen = ListenSettings(endpoint="", kind="http", tls="none")
        self.port = await endpoint.listen(self.house.server.http_doors.listener(listen))
        self.addCleanup(self.port.stopListening)

    def talk(self) -> list[str]:
        """What a client hears that opens a stream, and closes it in order."""
        url = f"ws://localhost:{self.port.getHost().port}/ws"
        protocols = [Subprotocol("xmpp")]
        with connect(url, subprotocols=protocols, compression="deflate") as socket:
            self.extensions = socket.protocol.extensions
            socket.send(f"<open xmlns='{FRAMING}' to='localhost' version='1.0'/>")
            heard = [str(socket.recv(10)), str(socket.recv(10))]
            socket.send("")
            socket.ping().wait(10)
            socket.send(f"<close xmlns='{FRAMING}'/>")
            heard += list(map(str, socket))
        return heard

    async def test_talk(self) -> None:
        """A stream is opened and closed, and then so is the connection."""
        opened, features, closed = await deferToThread(self.talk)
        self.assertIn("<open ", opened)
        self.assertIn("SCRAM-SHA-256", features)
        self.assertEqual(closed, f"<close xmlns='{FRAMING}'/>")
        self.assertEqual(self.extensions, [])
        await self.house.server.http_connections.close()
        self.assertEqual(self.house.server.client_connections.handlers, set())

    async def test_compressed(self) -> None:
        """So it is where messages may be compressed, and the client offers that."""
        sockets = self.house.server.web_sockets
        sockets.use(type(sockets.web)(compression=True))
        _, features, closed = await deferToThread(self.talk)
        self.assertIn("SCRAM-SHA-256", features)
        self.assertEqual(closed, f"<close xmlns='{FRAMING}'/>")
        self.assertEqual([each.name for each in self.extensions], ["permessage-deflate"])
        await self.house.server.http_connections.close()

    def refused(self) -> str:
        """What a client hears that sends two elements in a frame."""
        url = f"ws://localhost:{self.port.getHost().port}/xmpp-websocket"
        with connect(url, subprotocols=[Subprotocol("xmpp")], compression=None) as socket:
            socket.send(f"<open xmlns='{FRAMING}' to='localhost' version='1.0'/>")
            socket.send("<a xmlns='u'/><b xmlns='u'/>")
            return "".join(map(str, socket))

    async def test_refused(self) -> None:
        """A stream error arrives whole, with the end of the stream behind it."""
        heard = await deferToThread(self.refused)
        self.assertIn("bad-format", heard)
        self.assertTrue(heard.endswith(f"<close xmlns='{FRAMING}'/>"))
        await self.house.server.http_connections.close()


class TwistedTests(HubTests):
    endpoint = "tcp"
