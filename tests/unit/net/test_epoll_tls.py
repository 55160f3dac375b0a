"""What only our transport promises under TLS."""

import select
import socket
import ssl
from pathlib import Path

from OpenSSL import SSL
from twisted.internet import interfaces
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.unit.net.peer import (
    BIG,
    HubOnAClock,
    Recorder,
    Service,
    descriptor,
    has_input,
    nothing,
    ours,
    port_number,
)
from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.net import epoll_hub, epoll_tls
from xmppd.net.certificate import make_self_signed
from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_tls import ClearTextUnsent, TLSConnection
from xmppd.net.tls import TLS, tls_version


class Client:
    """A client's side of TLS that never blocks; the test decides when bytes move."""

    def __init__(self, sock: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        sock.setblocking(False)
        self.tls = context.wrap_socket(sock, do_handshake_on_connect=False)

    def step(self) -> bool:
        """One step of the handshake; whether it is done."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def read(self) -> bytes | None:
        """What has come; None for nothing."""
        try:
            return self.tls.recv(65_536)
        except ssl.SSLWantReadError:
            return None


class TLSTestCase(SynchronousTestCase):
    """A hub on a clock, and a certificate."""

    def setUp(self) -> None:
        self.patch(epoll_hub, "TURN_S", 60.0)  # However busy this machine is.
        directory = Path(self.mktemp())
        directory.mkdir()
        files = DomainSettings(
            name="localhost", certificate=f"{directory}/chain.pem", key=f"{directory}/key.pem"
        )
        make_self_signed(files.name, files.chain_file, files.key_file)
        self.files = files
        self.contexts = TLS(TLSSettings(), (files,)).context_factory("client")

    def start_tls(self, server: Recorder) -> None:
        server.transport.startTLS(self.contexts)

    def bench(self, service: Service, limits: SocketLimits | None = None) -> HubOnAClock:
        bench = HubOnAClock(service, limits)
        self.addCleanup(bench.stop)
        return bench

    def connect(self, bench: HubOnAClock) -> tuple[Client, Recorder]:
        sock, server = bench.connect()
        client = Client(sock)
        self.addCleanup(client.tls.close)
        return client, server

    def shake_hands(self, bench: HubOnAClock, client: Client) -> None:
        while not client.step():
            bench.turn()
        bench.turn()


class HandshakeTests(TLSTestCase):
    """The handshake."""

    def test_ten_steps_a_turn(self) -> None:
        """Of a herd that returns ten shake hands in one turn; the others come next."""
        bench = self.bench(Service(made=self.start_tls))
        clients = [self.connect(bench)[0] for _ in range(25)]
        bench.clock.advance(0)
        for client in clients:
            client.step()
        answered = []
        for _ in range(3):
            bench.turn()
            answered.append(sum(has_input(client.tls) for client in clients))
        self.assertEqual(answered, [10, 20, 25])

    def test_starttls_in_the_stream(self) -> None:
        """The last word in the clear leaves ahead of the handshake."""

        def answer(server: Recorder, data: bytes) -> None:
            if data == b"<starttls/>":
                server.transport.write(b"<proceed/>")
                server.transport.startTLS(self.contexts)
            else:
                server.transport.write(data)

        bench = self.bench(Service(answer))
        sock, _ = bench.connect()
        sock.sendall(b"<starttls/>")
        bench.turn()
        self.assertEqual(sock.recv(100), b"<proceed/>")
        client = Client(sock)
        self.shake_hands(bench, client)
        client.tls.send(b"in the dark")
        bench.turn()
        self.assertEqual(client.read(), b"in the dark")
        client.tls.close()

    def test_clear_text_unsent(self) -> None:
        """TLS does not start while bytes in the clear could not be sent."""
        bench = self.bench(Service())
        _, server = self.connect(bench)
        server.transport.write(BIG)
        with self.assertRaises(ClearTextUnsent):
            server.transport.startTLS(self.contexts)

    def test_twice(self) -> None:
        """TLS starts once."""
        bench = self.bench(Service(made=self.start_tls))
        _, server = self.connect(bench)
        with self.assertRaises(RuntimeError):
            server.transport.startTLS(self.contexts)

    def test_after_the_end(self) -> None:
        """On a connection that has ended nothing starts any more."""
        bench = self.bench(Service())
        _, server = self.connect(bench)
        server.transport.abortConnection()
        server.transport.startTLS(self.contexts)
        bench.clock.advance(0)
        self.assertNotIsInstance(server.transport, TLSConnection)

    def test_close_without_a_word(self) -> None:
        """A close during the handshake with nothing to say ends at once."""
        bench = self.bench(Service(made=self.start_tls))
        _, server = self.connect(bench)
        server.transport.loseConnection()
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionAborted))

    def test_silent_client(self) -> None:
        """A close during a handshake that never ends is bounded, also with something to say."""
        bench = self.bench(Service(made=self.start_tls), SocketLimits(close_timeout_s=5.0))
        _, server = self.connect(bench)
        server.transport.write(b"early")
        server.transport.loseConnection()
        bench.clock.advance(4.9)
        self.assertEqual(server.calls, ["made"])
        bench.clock.advance(0.1)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionLost))

    def test_more_than_the_kernel_takes(self) -> None:
        """A certificate chain larger than the socket's buffer is sent as the client takes it."""
        chain = self.files.chain_file.read_bytes()
        self.files.chain_file.write_bytes(chain * 150)
        self.contexts = TLS(TLSSettings(), (self.files,)).context_factory("client")

        def made(server: Recorder) -> None:
            server.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            self.start_tls(server)

        bench = self.bench(Service(made=made))
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.connect(("127.0.0.1", port_number(bench.port)))
        bench.turn()
        server = bench.service.all[0]
        client = Client(sock)
        self.addCleanup(client.tls.close)
        waited_for_room = False
        while not client.step():
            if bench.has_work:
                bench.turn()
            waited_for_room |= ours(server).mask == select.EPOLLOUT
        self.assertTrue(waited_for_room)
        client.tls.send(b"x")
        while not server.seen:
            bench.turn()
        self.assertEqual(client.read(), b"x")
        self.assertFalse(bench.has_work)

    def test_half_close(self) -> None:
        """A half-close during the handshake lets it end, and what was written leave."""
        bench = self.bench(Service(nothing, made=self.start_tls))
        client, server = self.connect(bench)
        server.transport.write(b"early")
        server.transport.loseWriteConnection()
        self.shake_hands(bench, client)
        self.assertEqual((client.read(), client.read()), (b"early", b""))
        client.tls.send(b"late")
        bench.turn()
        self.assertEqual(server.seen, b"late")

    def test_paused(self) -> None:
        """A protocol that pauses during the handshake gets no data after it, until it resumes."""
        bench = self.bench(Service(nothing, made=self.start_tls))
        client, server = self.connect(bench)
        server.transport.pauseProducing()
        while not client.step():
            bench.turn()
        client.tls.send(b"held")
        bench.turn()
        self.assertFalse(bench.has_work)
        self.assertEqual(server.seen, b"")
        server.transport.resumeProducing()
        bench.turn()
        self.assertEqual(server.seen, b"held")

    def test_handshake_listener(self) -> None:
        """A protocol that listens hears when the handshake is done; if it raises, it ends."""

        @implementer(interfaces.IHandshakeListener)
        class Listener(Recorder):
            def handshakeCompleted(self) -> None:
                self.calls.append(str(tls_version(self.transport)))
                raise ZeroDivisionError

        bench = self.bench(Service(made=self.start_tls, protocol=Listener))
        client, server = self.connect(bench)
        self.shake_hands(bench, client)
        self.assertEqual(server.calls, ["made", "TLSv1.3", "lost"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class DataTests(TLSTestCase):
    """After the handshake."""

    def established(
        self, service: Service, limits: SocketLimits | None = None
    ) -> tuple[HubOnAClock, Client, Recorder]:
        service.made = self.start_tls
        bench = self.bench(service, limits)
        client, server = self.connect(bench)
        self.shake_hands(bench, client)
        return bench, client, server

    def test_pause_holds_back_the_next_record(self) -> None:
        """Paused between two records that came together, the second waits; then it arrives."""
        bench, client, server = self.established(
            Service(lambda server, data: server.transport.pauseProducing())
        )
        client.tls.send(b"one")
        client.tls.send(b"two")
        bench.turn()
        self.assertEqual(server.seen, b"one")
        bench.hub.doRead()
        self.assertEqual(server.seen, b"one")
        server.transport.resumeProducing()
        bench.turn()
        self.assertEqual(server.seen, b"onetwo")

    def test_records_in_a_row(self) -> None:
        """Records that came together are read in one turn, the largest as a whole."""
        bench, client, server = self.established(Service(nothing))
        largest = b"x" * epoll_tls.RECORD_BYTES
        for data in (b"one", largest, b"three"):
            client.tls.send(data)
        bench.turn()
        self.assertEqual(server.seen, b"one" + largest + b"three")

    def test_share_of_a_turn(self) -> None:
        """Of more records than a turn looks for, the rest comes in the next."""
        self.patch(epoll_hub, "MAX_LOOKS", 2)
        bench, client, server = self.established(Service(nothing))
        for data in (b"one ", b"two ", b"three"):
            client.tls.send(data)
        bench.turn()
        self.assertEqual(server.seen, b"one two ")
        bench.turn()
        self.assertEqual(server.seen, b"one two three")

    def test_joined(self) -> None:
        """What is written in one turn leaves as one record."""

        def answer(server: Recorder, data: bytes) -> None:
            server.transport.write(b"one ")
            server.transport.write(b"two")

        bench, client, _ = self.established(Service(answer))
        client.tls.send(b"x")
        bench.turn()
        self.assertEqual(client.read(), b"one two")

    def test_peer_that_never_reads(self) -> None:
        """A close that cannot get rid of its last bytes ends in bounded time."""
        bench, _, server = self.established(Service(), SocketLimits(close_timeout_s=5.0))
        server.transport.write(BIG)
        server.transport.loseConnection()
        bench.clock.advance(4.9)
        self.assertEqual(server.calls, ["made"])
        bench.clock.advance(0.1)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionLost))

    def test_slow_reader(self) -> None:
        """A client that does not read is dropped at the limit."""
        bench, _, server = self.established(Service(), SocketLimits(max_queued_bytes=1_000_000))
        server.transport.write(BIG)
        bench.clock.advance(0)
        self.assertRegex(str(server.reason.value), r"reads too slowly: \d{7} bytes queued")

    def test_openssl_never_touches_a_closed_descriptor(self) -> None:
        """After the end OpenSSL's connection is gone: its descriptor's number may be another's."""
        bench, _, server = self.established(Service())
        self.assertIsInstance(server.transport.getHandle(), SSL.Connection)
        number = descriptor(server)
        server.transport.abortConnection()
        bench.clock.advance(0)
        strangers = [*socket.socketpair()]
        while number not in (stranger.fileno() for stranger in strangers):
            strangers += socket.socketpair()
        self.assertNotIsInstance(server.transport.getHandle(), SSL.Connection)
        server.transport.loseConnection()
        server.transport.write(b"late")
        bench.clock.advance(0)
        self.assertFalse(any(has_input(stranger) for stranger in strangers))
        for stranger in strangers:
            stranger.close()

    def test_facts(self) -> None:
        """The transport offers what Twisted's TLS transports offer, and the exporter."""
        _, _, server = self.established(Service())
        transport = ours(server)
        self.assertTrue(interfaces.ISSLTransport.providedBy(transport))
        self.assertTrue(interfaces.INegotiated.providedBy(transport))
        self.assertIsNone(transport.negotiatedProtocol)
        self.assertIsNone(transport.getPeerCertificate())
        self.assertEqual(len(transport.exportKeyingMaterial(b"EXPORTER-Channel-Binding", 32)), 32)
