"""What every server endpoint promises a protocol, Twisted's or ours, in the clear and under TLS."""

import os
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

from OpenSSL import SSL
from twisted.internet import interfaces
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
)
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.unit.net.peer import (
    BIG,
    HalfRecorder,
    Recorder,
    Service,
    both_ways,
    clock,
    descriptor,
    dial,
    everything,
    exactly,
    in_thread,
    next_turn,
    nothing,
    port_number,
    reset,
    wait_for_hang_up,
)
from xmppd.config.config import DomainSettings, TLSSettings
from xmppd.net.certificate import make_self_signed
from xmppd.net.tls import TLS
from xmppd.net.transport import Watchable

T = TypeVar("T")


@implementer(interfaces.IPushProducer)
class Indifferent:
    """A producer that does not mind how much waits."""

    def pauseProducing(self) -> None:
        """Much waits."""

    def resumeProducing(self) -> None:
        """All has left."""

    def stopProducing(self) -> None:
        """The connection is gone."""


class Contract(TestCase):
    """Holds for both endpoints, in the clear and under TLS."""

    timeout = 15
    service: Service
    port: IListeningPort

    def endpoint(self, port: int = 0) -> IStreamServerEndpoint:
        """The endpoint under test."""
        raise NotImplementedError

    async def serve(self, service: Service) -> None:
        """Listen, and see at the end that every connection ended exactly once."""
        self.service = service
        self.port = await self.endpoint().listen(service)
        self.addCleanup(self._clean_up)

    async def _clean_up(self) -> None:
        await maybeDeferred(self.port.stopListening)
        for server in self.service.all:
            if "made" in server.calls:
                if "lost" not in server.calls:
                    server.transport.abortConnection()
                await server.end()
                self.assertEqual(server.calls.count("lost"), 1)
        await next_turn()

    @property
    def port_number(self) -> int:
        return port_number(self.port)

    def connect(self) -> socket.socket:
        """A client, ready to speak; blocks."""
        return dial(self.port_number)

    def close(self, sock: socket.socket) -> None:
        """End the client's side as its protocol wants it."""

    async def client(self, talk: Callable[[socket.socket], T]) -> T:
        """Let a client talk to the server from its own thread."""

        def go() -> T:
            with self.connect() as sock:
                result = talk(sock)
                self.close(sock)
                return result

        return await in_thread(go)

    async def test_echo(self) -> None:
        """What a client sends arrives, what is answered comes back, and the end is clean."""
        await self.serve(Service())
        got = await self.client(lambda sock: (sock.sendall(b"hello"), exactly(sock, 5))[1])
        self.assertEqual(got, b"hello")
        self.assertTrue((await self.service.all[0].end()).check(ConnectionDone))

    async def test_order_of_writes(self) -> None:
        """Many small writes arrive in their order, whatever turn they were made in."""

        def answer(server: Recorder, data: bytes) -> None:
            for number in range(500):
                server.transport.write(b"%03d" % number)
            clock.callLater(0, server.transport.writeSequence, [b"a", b"b"])
            clock.callLater(0, server.transport.write, b"c")

        await self.serve(Service(answer))
        got = await self.client(lambda sock: (sock.sendall(b"x"), exactly(sock, 1503))[1])
        self.assertEqual(got, b"".join(b"%03d" % number for number in range(500)) + b"abc")

    async def test_one_turn_one_send(self) -> None:
        """What is written in one turn leaves in one send, also while we watch the queue (CH-11)."""

        def answer(server: Recorder, data: bytes) -> None:
            if isinstance(server.transport, Watchable):
                server.transport.watch_queue(Indifferent())
            else:
                server.transport.registerProducer(Indifferent(), streaming=True)
            for piece in (b"<message/>", b"<r/>", b"<presence/>"):
                server.transport.write(piece)

        def talk(sock: socket.socket) -> bytes:
            sock.sendall(b"?")
            return sock.recv(1_000)

        await self.serve(Service(data=answer))
        self.assertEqual(await self.client(talk), b"<message/><r/><presence/>")

    async def test_all_leaves_before_the_close(self) -> None:
        """Data queued for a client that does not read yet leaves before the connection closes."""
        written = threading.Event()

        def answer(server: Recorder, data: bytes) -> None:
            server.transport.write(BIG)
            server.transport.writeSequence([b"the ", b"end"])
            server.transport.loseConnection()
            clock.callLater(0, written.set)

        def talk(sock: socket.socket) -> bytes:
            sock.sendall(b"x")
            written.wait()
            return everything(sock)

        await self.serve(Service(answer))
        self.assertTrue((await self.client(talk)) == BIG + b"the end")
        self.assertTrue((await self.service.all[0].end()).check(ConnectionDone))

    async def test_much_both_ways(self) -> None:
        """Five megabytes go through whole while five others come back."""
        await self.serve(Service())
        self.assertTrue((await self.client(lambda sock: both_ways(sock, BIG))) == BIG)

    async def test_never_lost_inside_a_call(self) -> None:
        """Neither writing to a peer that is gone nor a close calls connectionLost at once."""

        def answer(server: Recorder, data: bytes) -> None:
            wait_for_hang_up(descriptor(server))
            server.inside_a_call = True
            for _ in range(3):
                server.transport.write(b"x" * 100_000)
            server.transport.loseConnection()
            server.transport.loseConnection()
            server.transport.abortConnection()
            server.inside_a_call = False

        await self.serve(Service(answer))
        await self.client(lambda sock: (sock.sendall(b"x"), reset(sock)))
        await self.service.all[0].end()

    async def test_reset_while_we_write_from_a_timer(self) -> None:
        """A write to a peer that has reset does not end the connection inside the call."""
        await self.serve(Service())
        sock = await in_thread(self.connect)
        server = await self.service.connections.get()
        reset(sock)
        wait_for_hang_up(descriptor(server))
        server.inside_a_call = True
        server.transport.write(b"x")
        server.transport.write(b"x")
        server.inside_a_call = False
        self.assertTrue((await server.end()).check(ConnectionLost))

    async def test_streaming_producer(self) -> None:
        """A streaming producer is paused while a client does not read, and goes on afterwards."""
        calls: list[str] = []
        paused = threading.Event()

        @implementer(interfaces.IPushProducer)
        class Pieces:
            def __init__(self, server: Recorder) -> None:
                self.server = server
                self.left = 300
                self.runs = True
                server.transport.registerProducer(self, True)
                self.run()

            def run(self) -> None:
                while self.runs and self.left:
                    self.left -= 1
                    self.server.transport.write(b"%06d" % self.left + b"." * 29_994)
                if self.runs and not self.left:
                    self.runs = False
                    self.server.transport.unregisterProducer()
                    self.server.transport.loseConnection()

            def pauseProducing(self) -> None:
                calls.append("pause")
                self.runs = False
                paused.set()

            def resumeProducing(self) -> None:
                calls.append("resume")
                self.runs = True
                self.run()

            def stopProducing(self) -> None:
                calls.append("stop")

        def talk(sock: socket.socket) -> bytes:
            sock.sendall(b"x")
            paused.wait()
            return everything(sock)

        await self.serve(Service(lambda server, data: Pieces(server)))
        got = await self.client(talk)
        self.assertEqual(
            [got[start : start + 6] for start in range(0, len(got), 30_000)],
            [b"%06d" % left for left in range(299, -1, -1)],
        )
        self.assertIn("pause", calls)
        self.assertIn("resume", calls)
        self.assertNotIn("stop", calls)

    async def test_pull_producer(self) -> None:
        """A pull producer is asked for a piece whenever the last one has left."""

        @implementer(interfaces.IPullProducer)
        class Pieces:
            left = 50

            def __init__(self, server: Recorder) -> None:
                self.transport = server.transport
                self.transport.registerProducer(self, False)

            def resumeProducing(self) -> None:
                self.left -= 1
                self.transport.write(b"%02d" % self.left)
                if not self.left:
                    self.transport.unregisterProducer()
                    self.transport.loseConnection()

            def stopProducing(self) -> None:
                raise AssertionError("it was done")

        await self.serve(Service(lambda server, data: Pieces(server)))
        got = await self.client(lambda sock: (sock.sendall(b"x"), everything(sock))[1])
        self.assertEqual(got, b"".join(b"%02d" % left for left in range(49, -1, -1)))

    async def test_producer_is_stopped(self) -> None:
        """A producer hears that the connection has ended."""
        calls: list[str] = []

        @implementer(interfaces.IPushProducer)
        class Endless:
            def pauseProducing(self) -> None:
                calls.append("pause")

            def resumeProducing(self) -> None:
                calls.append("resume")

            def stopProducing(self) -> None:
                calls.append("stop")

        await self.serve(
            Service(lambda server, data: server.transport.registerProducer(Endless(), True))
        )
        await self.client(lambda sock: sock.sendall(b"x"))
        server = await self.service.connections.get()
        await server.end()
        self.assertIn("stop", calls)

    async def test_error_ends_one_connection(self) -> None:
        """A protocol that raises loses its own connection; its neighbour does not notice."""

        def answer(server: Recorder, data: bytes) -> None:
            if data == b"bad":
                raise ZeroDivisionError
            server.transport.write(data)

        await self.serve(Service(answer))
        good = await in_thread(self.connect)
        await self.client(lambda sock: (sock.sendall(b"bad"), everything(sock)))
        await in_thread(lambda: (good.sendall(b"ok"), exactly(good, 2)))
        bad = next(server for server in self.service.all if server.seen == b"bad")
        await bad.end()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        good.close()

    async def test_pause_and_resume(self) -> None:
        """A paused connection delivers nothing of what arrives; afterwards it delivers all."""
        await self.serve(Service(nothing))
        sock = await in_thread(self.connect)
        await in_thread(sock.sendall, b"1")
        server = await self.service.connections.get()
        await server.has_seen(1)
        server.transport.pauseProducing()
        await in_thread(sock.sendall, b"23")
        for _ in range(5):
            await next_turn()
        self.assertEqual(server.seen, b"1")
        server.transport.resumeProducing()
        await server.has_seen(3)
        self.assertEqual(server.seen, b"123")
        sock.close()

    async def test_addresses_and_options(self) -> None:
        """The transport knows both addresses, during and after, and takes socket options."""
        await self.serve(Service())
        sock = await in_thread(self.connect)
        server = await self.service.connections.get()
        transport = server.transport
        peer, host = transport.getPeer(), transport.getHost()
        self.assertEqual((peer.host, peer.port), sock.getsockname())
        self.assertEqual((host.host, host.port), sock.getpeername())
        for on in (True, False):
            transport.setTcpNoDelay(on)
            transport.setTcpKeepAlive(on)
            self.assertEqual((transport.getTcpNoDelay(), transport.getTcpKeepAlive()), (on, on))
        for interface in (interfaces.ITCPTransport, interfaces.IConsumer, interfaces.IPushProducer):
            self.assertTrue(interface.providedBy(transport), interface)
        with self.assertRaises(TypeError):
            transport.write("text")
        sock.close()
        await server.end()
        self.assertEqual(transport.getPeer().host, "127.0.0.1")

    async def test_write_from_a_timer(self) -> None:
        """What is written outside of any call of the protocol leaves by itself."""
        await self.serve(
            Service(made=lambda server: clock.callLater(0.01, server.transport.write, b"tick"))
        )
        self.assertEqual(await self.client(lambda sock: exactly(sock, 4)), b"tick")

    async def test_write_from_a_thread(self) -> None:
        """What another thread hands to the reactor leaves as well."""

        def made(server: Recorder) -> None:
            in_thread(clock.callFromThread, server.transport.write, b"tick")

        await self.serve(Service(made=made))
        self.assertEqual(await self.client(lambda sock: exactly(sock, 4)), b"tick")

    async def test_stop_listening(self) -> None:
        """A port that stops refuses newcomers and keeps its connections."""
        await self.serve(Service())
        sock = await in_thread(self.connect)
        await self.service.connections.get()
        before = self.service.numPorts
        await maybeDeferred(self.port.stopListening)
        self.assertEqual((before, self.service.numPorts), (1, 0))
        with self.assertRaises(ConnectionRefusedError):
            dial(sock.getpeername()[1])
        await in_thread(lambda: (sock.sendall(b"still"), exactly(sock, 5)))
        sock.close()


class PlainContract(Contract):
    """Holds for both endpoints, and shows only in the clear."""

    async def test_abort(self) -> None:
        """Aborting resets the connection and sends nothing any more."""

        def answer(server: Recorder, data: bytes) -> None:
            server.inside_a_call = True
            server.transport.abortConnection()
            server.transport.write(b"never")
            server.inside_a_call = False

        await self.serve(Service(answer))
        got = await self.client(lambda sock: (sock.sendall(b"x"), everything(sock))[1])
        self.assertEqual(got, b"RESET")
        self.assertTrue((await self.service.all[0].end()).check(ConnectionAborted))

    async def test_last_words(self) -> None:
        """What a peer sent before its reset is delivered, though our writes fail already."""
        await self.serve(Service(nothing))
        sock = await in_thread(self.connect)
        server = await self.service.connections.get()
        sock.sendall(b"last words")
        reset(sock)
        wait_for_hang_up(descriptor(server))
        for _ in range(3):
            server.transport.write(b"too late")
        await server.end()
        self.assertEqual(server.seen, b"last words")

    async def test_peer_closes_its_half(self) -> None:
        """A protocol that knows half-closed connections may still answer."""

        def half_read(server: Recorder) -> None:
            server.transport.write(b"late")
            server.transport.loseConnection()

        await self.serve(Service(protocol=HalfRecorder, half_read=half_read))

        def talk(sock: socket.socket) -> bytes:
            sock.sendall(b"x")
            sock.shutdown(socket.SHUT_WR)
            return everything(sock)

        self.assertEqual(await self.client(talk), b"xlate")
        server = self.service.all[0]
        await server.end()
        self.assertEqual(server.calls, ["made", "read", "lost"])

    async def test_we_close_our_half(self) -> None:
        """After our half is closed the client may still speak."""

        def answer(server: Recorder, data: bytes) -> None:
            if data == b"1":
                server.transport.write(b"bye")
                server.transport.loseWriteConnection()

        await self.serve(
            Service(
                answer,
                protocol=HalfRecorder,
                half_read=lambda server: server.transport.loseConnection(),
            )
        )

        def talk(sock: socket.socket) -> bytes:
            sock.sendall(b"1")
            got = everything(sock)
            sock.sendall(b"2")
            return got

        self.assertEqual(await self.client(talk), b"bye")
        server = self.service.all[0]
        await server.end()
        self.assertEqual((server.seen, server.calls), (b"12", ["made", "write", "read", "lost"]))

    async def test_reset_while_paused(self) -> None:
        """A peer that resets a paused connection is heard out when the connection resumes."""
        await self.serve(Service(nothing, made=lambda server: server.transport.pauseProducing()))
        sock = await in_thread(self.connect)
        server = await self.service.connections.get()
        sock.sendall(b"held")
        reset(sock)
        wait_for_hang_up(descriptor(server))
        for _ in range(5):
            await next_turn()
        self.assertEqual((server.seen, server.calls), (b"", ["made"]))
        server.transport.resumeProducing()
        self.assertTrue((await server.end()).check(ConnectionLost))
        self.assertEqual(server.seen, b"held")

    async def test_no_protocol(self) -> None:
        """A client the factory has no protocol for is turned away."""
        await self.serve(Service())
        self.service.refuses = True
        self.assertIn(await self.client(everything), (b"", b"RESET"))

    async def test_bound_twice(self) -> None:
        """A port that is taken is said to be."""
        await self.serve(Service())
        with self.assertRaises(CannotListenError):
            await self.endpoint(self.port_number).listen(Factory())


class TLSContract(Contract):
    """Holds for both endpoints under TLS."""

    directory: ClassVar[Path]
    tls: TLS

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        files = DomainSettings(
            name="localhost", certificate=f"{directory}/chain.pem", key=f"{directory}/key.pem"
        )
        make_self_signed(files.name, files.chain_file, files.key_file)
        self.tls = TLS(TLSSettings(), (files,))

    async def serve(self, service: Service) -> None:
        made = service.made

        def start(server: Recorder) -> None:
            server.transport.startTLS(self.tls.context_factory("client"))
            made(server)

        service.made = start
        await super().serve(service)

    def connect(self) -> socket.socket:
        return self.wrap(dial(self.port_number))

    def wrap(self, sock: socket.socket, version: ssl.TLSVersion | None = None) -> ssl.SSLSocket:
        """Shake hands as a client that trusts everybody."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context.wrap_socket(sock)

    def close(self, sock: socket.socket) -> None:
        assert isinstance(sock, ssl.SSLSocket)
        with suppress(OSError, ValueError):  # The server was faster.
            sock.unwrap()

    async def test_both_versions(self) -> None:
        """TLS 1.2 and 1.3 carry data both ways."""
        await self.serve(Service())
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):

            def talk(version: ssl.TLSVersion = version) -> bytes:
                with self.wrap(dial(self.port_number), version) as sock:
                    sock.sendall(b"hello")
                    return exactly(sock, 5)

            with self.subTest(version=version):
                self.assertEqual(await in_thread(talk), b"hello")

    async def test_write_during_the_handshake(self) -> None:
        """What is written before the handshake is done leaves afterwards, encrypted."""
        await self.serve(Service(made=lambda server: server.transport.write(b"early")))
        self.assertEqual(await self.client(lambda sock: exactly(sock, 5)), b"early")

    async def test_close_during_the_handshake(self) -> None:
        """A close during the handshake lets out what was written before."""

        def made(server: Recorder) -> None:
            server.transport.write(b"early")
            server.transport.loseConnection()

        await self.serve(Service(made=made))
        self.assertEqual(await self.client(everything), b"early")

    async def test_close_notify(self) -> None:
        """A close tells the client that nothing was cut off."""
        await self.serve(Service(lambda server, data: server.transport.loseConnection()))
        got = await self.client(lambda sock: (sock.sendall(b"x"), sock.recv(10))[1])
        self.assertEqual(got, b"")
        self.assertTrue((await self.service.all[0].end()).check(ConnectionDone))

    async def test_not_tls(self) -> None:
        """A client that goes on in the clear is refused, with OpenSSL's reason."""
        await self.serve(Service())

        def talk() -> None:
            with dial(self.port_number) as sock:
                sock.sendall(b"<stream:stream>" * 10)
                everything(sock)

        await in_thread(talk)
        reason = await self.service.all[0].end()
        self.assertTrue(reason.check(SSL.Error), reason)

    async def test_torn_off(self) -> None:
        """An end without close_notify is a lost connection, in the handshake and later."""
        await self.serve(Service())
        sock = await in_thread(self.connect)
        server = await self.service.connections.get()
        os.close(sock.detach())
        self.assertTrue((await server.end()).check(ConnectionLost))
        with dial(self.port_number) as sock:
            sock.sendall(b"\x16\x03\x01")
        server = await self.service.connections.get()
        self.assertTrue((await server.end()).check(ConnectionLost))

    async def test_records_in_pieces(self) -> None:
        """A handshake and a record that arrive byte by byte are understood."""
        await self.serve(Service())

        def talk() -> bytes:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            tls = context.wrap_bio(incoming, outgoing)
            with dial(self.port_number) as sock:

                def step(function: Callable[[], T]) -> T:
                    while True:
                        try:
                            return function()
                        except ssl.SSLWantReadError:
                            for byte in outgoing.read():
                                sock.send(bytes([byte]))
                            incoming.write(sock.recv(65_536))

                step(tls.do_handshake)
                tls.write(b"torn")
                return step(lambda: tls.read(4))

        self.assertEqual(await in_thread(talk), b"torn")
