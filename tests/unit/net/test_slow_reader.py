"""A client that does not read, over real sockets: nothing is lost, and little is kept of it."""

import socket
from typing import ClassVar

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.trial.unittest import TestCase

from tests.unit.net.peer import dial, in_thread, next_turn, port_number
from xmppd.config.config import ListenSettings
from xmppd.net.epoll_connection import PRODUCER_BYTES
from xmppd.stanza import ns
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
JULIET = f"juliet@{DOMAIN}"
COUNT = 4_000
TEXT = "x" * 1_000
LAST = f"{COUNT - 1} {TEXT}</body></message>".encode()


class TCPTests(TestCase):
    """Twisted's own endpoint."""

    endpoint: ClassVar[str] = "tcp:0:interface=127.0.0.1"
    timeout = 60

    async def arrive(self, max_queued_bytes: int) -> None:
        """Romeo is in the house; Juliet comes by a socket and does not read."""
        stream = {"stanzas_per_s": 0.0, "bytes_per_s": 0.0, "max_queued_bytes": max_queued_bytes}
        offline = {"max_messages": 2 * COUNT, "max_bytes": 100_000_000}
        config = house_config(DOMAIN, stream=stream, offline=offline)
        both = {"juliet": "both"}
        self.house = House(DOMAIN, config=config, romeo=both, juliet={"romeo": "both"})
        (self.romeo,) = self.house.connect("romeo")
        factory = self.house.server.listeners.listener(
            ListenSettings(endpoint="", kind="client", tls="none")
        )
        self.port: IListeningPort = await serverFromString(reactor, self.endpoint).listen(factory)
        self.addCleanup(self.port.stopListening)
        self.sock = await in_thread(lambda: dial(port_number(self.port)))
        self.addCleanup(self.sock.close)
        known = set(self.house.server.client_connections.handlers)
        while len(known) < 2:
            await next_turn()
            known = set(self.house.server.client_connections.handlers)
        (self.handler,) = known - {self.romeo.handler}
        self.log_in()

    def log_in(self) -> None:
        """Put into the handler's mouth what Juliet's client would say."""
        header = (
            f"<stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}'"
            f" to='{DOMAIN}' version='1.0'>"
        ).encode()
        handler = self.handler
        handler.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)  # type: ignore[attr-defined]
        handler.dataReceived(header)
        stream = handler.stream_handler
        assert isinstance(stream, StanzaHandler)
        self.session = stream.session
        stream.authenticated(self.house.jid("juliet"))
        handler.restart()
        handler.dataReceived(header)
        handler.dataReceived(
            f"<iq type='set' id='b'><bind xmlns='{ns.BIND}'><resource>1</resource></bind></iq>"
            "<presence/>".encode()
        )

    async def talk(self) -> None:
        """Romeo writes a lot, and is restless."""
        for number in range(COUNT):
            self.romeo.send(
                f"<message to='{JULIET}' type='chat'><body>{number} {TEXT}</body></message>"
                f"<presence><status>{number}</status></presence>"
            )
            if number % 100 == 0:
                await next_turn()

    async def test_reads_in_the_end(self) -> None:
        """Messages come whole and in order; of the presences in between most have made way."""
        await self.arrive(100_000_000)
        await self.talk()
        backlog = self.session.backlog
        assert backlog is not None
        self.assertGreater(len(backlog), COUNT // 2)
        heard = await in_thread(lambda: everything_until(self.sock, LAST))
        numbers = [int(part.split(b" ", 1)[0]) for part in heard.split(b"<body>")[1:]]
        self.assertEqual(numbers, list(range(COUNT)))
        self.assertLess(heard.count(b"<status>"), COUNT // 2)
        self.assertIsNone(self.session.backlog)

    async def test_never_reads(self) -> None:
        """She is cut off; what had not been handed to the kernel's door is stored, in order."""
        await self.arrive(1_000_000)
        await self.talk()
        await next_turn()
        self.assertTrue(self.session.closed)
        stored = [
            int(message.stanza.split(b"<body>")[1].split(b" ")[0])
            for message in done(self.house.store.offline.offline_messages(JULIET))
        ]
        heard = await in_thread(lambda: all_there_is(self.sock))
        first = stored[0]
        self.assertEqual(stored, list(range(first, COUNT)))
        read = heard.count(b"</message>")
        on_the_way_bytes = (first - read) * (len(TEXT) + 200)
        self.assertLess(on_the_way_bytes, 4 * PRODUCER_BYTES)


class EPollTests(TCPTests):
    """Ours."""

    endpoint = "epoll:0:interface=127.0.0.1"


def everything_until(sock: socket.socket, end: bytes) -> bytes:
    """What comes until these bytes have come."""
    heard = bytearray()
    while end not in heard[-2_000:]:
        data = sock.recv(65_536)
        if not data:
            break
        heard += data
    return bytes(heard)


def all_there_is(sock: socket.socket) -> bytes:
    """What comes until the end, however it comes."""
    heard = bytearray()
    try:
        while data := sock.recv(65_536):
            heard += data
    except ConnectionResetError:
        return bytes(heard)
    return bytes(heard)
