"""What only our transport promises: joined writes, bounded queues, bounded closes, no crash."""

import os
import socket
from collections.abc import Callable

from twisted.internet import interfaces
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.unit.net.peer import (
    BIG,
    HalfRecorder,
    HubOnAClock,
    Recorder,
    Service,
    descriptor,
    everything,
    exactly,
    has_input,
    nothing,
    reset,
    wait_for_input,
)
from xmppd.net import epoll_hub
from xmppd.net.epoll_connection import JOINED_BYTES, PARKED_S, SocketLimits


class ConnectionTestCase(SynchronousTestCase):
    """A hub on a clock, and clients of it."""

    def setUp(self) -> None:
        self.patch(epoll_hub, "TURN_S", 60.0)  # However busy this machine is.

    def bench(self, service: Service, limits: SocketLimits | None = None) -> HubOnAClock:
        bench = HubOnAClock(service, limits)
        self.addCleanup(bench.stop)
        return bench

    def connect(self, bench: HubOnAClock) -> tuple[socket.socket, Recorder]:
        sock, server = bench.connect()
        self.addCleanup(sock.close)
        return sock, server


class JoinedWriteTests(ConnectionTestCase):
    """Writes of one turn."""

    def test_in_a_turn(self) -> None:
        """What is written in a turn leaves when it ends, not before."""

        def answer(server: Recorder, data: bytes) -> None:
            server.transport.write(b"one ")
            server.transport.write(b"two")
            self.assertFalse(has_input(sock))

        bench = self.bench(Service(answer))
        sock, _ = self.connect(bench)
        sock.sendall(b"x")
        bench.turn()
        self.assertEqual(sock.recv(10), b"one two")

    def test_outside_of_a_turn(self) -> None:
        """What a timer or a database writes is joined too, with one call of the reactor for all."""
        bench = self.bench(Service())
        clients = [self.connect(bench) for _ in range(3)]
        for _, server in clients:
            server.transport.write(b"one ")
            server.transport.write(b"two")
        self.assertEqual(len(bench.clock.getDelayedCalls()), 1)
        for sock, _ in clients:
            self.assertFalse(has_input(sock))
        bench.clock.advance(0)
        self.assertEqual([sock.recv(10) for sock, _ in clients], [b"one two"] * 3)

    def test_an_earlier_turn_takes_them_along(self) -> None:
        """A turn that comes before the timer flushes, and the timer is not needed any more."""
        bench = self.bench(Service(nothing))
        sock, server = self.connect(bench)
        server.transport.write(b"joined")
        sock.sendall(b"x")
        bench.turn()
        self.assertEqual(sock.recv(10), b"joined")
        self.assertEqual(bench.clock.getDelayedCalls(), [])

    def test_bounded(self) -> None:
        """A turn that writes very much does not hold it all back."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        server.transport.write(b"x" * JOINED_BYTES)
        server.transport.write(b"end")
        self.assertEqual(len(exactly(sock, JOINED_BYTES)), JOINED_BYTES)
        bench.clock.advance(0)
        self.assertEqual(sock.recv(10), b"end")

    def test_kinds_of_bytes(self) -> None:
        """Bytes that may change afterwards are copied; text is refused."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        changing = bytearray(b"now")
        server.transport.write(changing)
        changing[:] = b"???"
        server.transport.write(memoryview(b" and then"))
        with self.assertRaises(TypeError):
            server.transport.write("text")
        bench.clock.advance(0)
        self.assertEqual(sock.recv(20), b"now and then")

    def test_answer_to_the_last_words(self) -> None:
        """A client that sends and closes its half at once still gets the answer."""
        bench = self.bench(Service())
        sock, _ = self.connect(bench)
        sock.sendall(b"x")
        sock.shutdown(socket.SHUT_WR)
        bench.turn()
        if bench.has_work:
            bench.turn()
        self.assertEqual(everything(sock), b"x")

    def test_written_before_the_end_is_read(self) -> None:
        """A client that has closed its half still gets what was written before we knew."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        server.transport.write(b"for you")
        sock.shutdown(socket.SHUT_WR)
        bench.turn()
        self.assertEqual(everything(sock), b"for you")

    def test_dropped_after_the_close(self) -> None:
        """What is written after loseConnection is not sent."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        server.transport.write(b"last")
        server.transport.loseConnection()
        server.transport.write(b"late")
        bench.clock.advance(0)
        self.assertEqual(everything(sock), b"last")


class SlowReaderTests(ConnectionTestCase):
    """Bytes queued to a client that does not read."""

    def test_dropped(self) -> None:
        """Beyond the limit the client is dropped, and the reason says how much was queued."""
        bench = self.bench(Service(), SocketLimits(max_queued_bytes=1_000_000))
        _, server = self.connect(bench)
        server.transport.write(BIG)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionAborted))
        self.assertRegex(str(server.reason.value), r"reads too slowly: \d{7} bytes queued")

    def test_dropped_with_a_producer(self) -> None:
        """A producer that does not stop when told to is no way around the limit."""
        stopped: list[bool] = []

        @implementer(interfaces.IPushProducer)
        class Deaf:
            def pauseProducing(self) -> None:
                """Not heard."""

            def resumeProducing(self) -> None:
                """Not heard."""

            def stopProducing(self) -> None:
                stopped.append(True)

        bench = self.bench(Service(), SocketLimits(max_queued_bytes=1_000_000))
        _, server = self.connect(bench)
        server.transport.registerProducer(Deaf(), True)
        server.transport.write(BIG)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionAborted))
        self.assertEqual(stopped, [True])

    def test_kept_below(self) -> None:
        """Below the limit all arrives, however late the client reads."""
        bench = self.bench(Service(), SocketLimits(max_queued_bytes=len(BIG)))
        sock, server = self.connect(bench)
        sock.setblocking(False)
        server.transport.write(BIG)
        bench.clock.advance(0)
        got = bytearray()
        while len(got) < len(BIG):
            try:
                got += sock.recv(1_000_000)
            except BlockingIOError:
                bench.turn()
        self.assertTrue(got == BIG)
        self.assertFalse(bench.has_work)


class CloseTests(ConnectionTestCase):
    """The end of a connection."""

    def test_peer_that_never_reads(self) -> None:
        """A close that cannot get rid of its last bytes ends in bounded time."""
        bench = self.bench(Service(), SocketLimits(close_timeout_s=5.0))
        _, server = self.connect(bench)
        server.transport.write(BIG)
        server.transport.loseConnection()
        bench.clock.advance(4.9)
        self.assertEqual(server.calls, ["made"])
        bench.clock.advance(0.1)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionLost))

    def test_producer_that_never_ends(self) -> None:
        """A close that waits for a producer ends in bounded time as well."""

        @implementer(interfaces.IPushProducer)
        class Endless:
            def pauseProducing(self) -> None:
                """Never mind."""

            def resumeProducing(self) -> None:
                """Never mind."""

            def stopProducing(self) -> None:
                """Never mind."""

        bench = self.bench(Service(), SocketLimits(close_timeout_s=5.0))
        _, server = self.connect(bench)
        server.transport.registerProducer(Endless(), True)
        server.transport.loseConnection()
        bench.clock.advance(0)
        self.assertEqual(server.calls, ["made"])
        bench.clock.advance(5)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionLost))

    def test_no_timer_is_left(self) -> None:
        """A close that goes well leaves nothing behind."""
        bench = self.bench(Service())
        _, server = self.connect(bench)
        server.transport.loseConnection()
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionDone))
        self.assertEqual(bench.clock.getDelayedCalls(), [])

    def test_peer_that_went_away_while_we_close(self) -> None:
        """A close does not wait for a peer that has reset."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        server.transport.write(BIG)
        server.transport.loseConnection()
        bench.clock.advance(0)
        reset(sock)
        bench.turn()
        self.assertTrue(server.reason.check(ConnectionLost))

    def test_reactor_stops(self) -> None:
        """When the reactor stops, what was written leaves and every protocol is told."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        server.transport.write(b"</stream:stream>")
        bench.stop()
        self.assertEqual(everything(sock), b"</stream:stream>")
        self.assertEqual(server.calls, ["made", "lost"])

    def test_closed_inside_a_child_too(self) -> None:
        """The client sees the end although a forked child still holds a copy of the socket."""
        bench = self.bench(Service())
        sock, server = self.connect(bench)
        copy = os.dup(descriptor(server))
        server.transport.loseConnection()
        bench.clock.advance(0)
        self.assertEqual(everything(sock), b"")
        os.close(copy)
        self.assertFalse(bench.has_work)


class PausedTests(ConnectionTestCase):
    """A connection that does not read."""

    def paused(self, bench: HubOnAClock) -> tuple[socket.socket, Recorder]:
        sock, server = self.connect(bench)
        server.transport.pauseProducing()
        return sock, server

    def test_dead_peer_does_not_spin(self) -> None:
        """A paused connection whose peer has reset does not wake the reactor again and again."""
        bench = self.bench(Service())
        sock, server = self.paused(bench)
        reset(sock)
        bench.turn()
        self.assertFalse(bench.has_work)
        self.assertEqual(server.calls, ["made"])

    def test_dead_peer_is_given_up(self) -> None:
        """It does not live for ever either."""
        bench = self.bench(Service())
        sock, server = self.paused(bench)
        reset(sock)
        bench.turn()
        bench.clock.advance(PARKED_S)
        bench.clock.advance(0)
        self.assertTrue(server.reason.check(ConnectionLost))

    def test_dead_peer_is_heard_out(self) -> None:
        """When it resumes in time, the last words arrive, and no timer is left."""
        bench = self.bench(Service())
        sock, server = self.paused(bench)
        sock.sendall(b"last words")
        reset(sock)
        bench.turn()
        server.transport.resumeProducing()
        bench.turn()
        self.assertEqual(server.seen, b"last words")
        bench.turn()
        self.assertTrue(server.reason.check(ConnectionLost))
        self.assertEqual(bench.clock.getDelayedCalls(), [])

    def test_dead_peer_and_every_way_to_close(self) -> None:
        """A parked connection can be closed, aborted and written to."""
        for close in (
            lambda server: server.transport.loseConnection(),
            lambda server: server.transport.abortConnection(),
            lambda server: server.transport.write(b"anybody there?"),
        ):
            bench = self.bench(Service())
            sock, server = self.paused(bench)
            reset(sock)
            bench.turn()
            close(server)
            bench.clock.advance(0)
            self.assertEqual(server.calls, ["made", "lost"])
            self.assertEqual(bench.clock.getDelayedCalls(), [])

    def test_half_closed_peer_does_not_spin(self) -> None:
        """Nor does one whose peer has only closed its half."""
        bench = self.bench(Service())
        sock, _ = self.paused(bench)
        sock.shutdown(socket.SHUT_WR)
        self.assertFalse(bench.has_work)

    def test_paused_by_an_earlier_handler(self) -> None:
        """Paused by a neighbour served before it in a turn, a connection delivers nothing."""

        def answer(server: Recorder, data: bytes) -> None:
            for other in bench.service.all:
                if other is not server:
                    other.transport.pauseProducing()

        bench = self.bench(Service(answer))
        clients = [self.connect(bench) for _ in range(2)]
        for sock, server in clients:
            sock.sendall(b"x")
            wait_for_input(descriptor(server))
        bench.turn()
        self.assertEqual(sorted(server.seen for _, server in clients), [b"", b"x"])


class CrashTests(ConnectionTestCase):
    """A protocol that raises in a callback: its connection ends, its neighbour goes on."""

    def crash(
        self,
        service: Service,
        provoke: Callable[[HubOnAClock, socket.socket, Recorder], object],
        errors: int = 1,
    ) -> None:
        bench = self.bench(service)
        sock, server = self.connect(bench)
        provoke(bench, sock, server)
        while "lost" not in server.calls:
            bench.clock.advance(0)
            if "lost" not in server.calls:
                bench.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), errors)
        service.data, service.lost = lambda other, data: other.transport.write(data), nothing
        neighbour, _ = self.connect(bench)
        neighbour.sendall(b"still here")
        bench.turn()
        self.assertEqual(neighbour.recv(20), b"still here")

    @staticmethod
    def raise_error(*args: object) -> None:
        raise ZeroDivisionError

    def test_data_received(self) -> None:
        """In dataReceived; the error is the reason."""
        service = Service(self.raise_error)
        self.crash(service, lambda bench, sock, server: sock.sendall(b"x"))
        self.assertTrue(service.all[0].reason.check(ZeroDivisionError))

    def test_connection_lost(self) -> None:
        """In connectionLost."""
        self.crash(Service(lost=self.raise_error), lambda bench, sock, server: sock.close())

    def test_data_received_and_connection_lost(self) -> None:
        """In both."""
        service = Service(self.raise_error, lost=self.raise_error)
        self.crash(service, lambda bench, sock, server: sock.sendall(b"x"), errors=2)

    def test_read_connection_lost(self) -> None:
        """In readConnectionLost."""
        self.crash(
            Service(protocol=HalfRecorder, half_read=self.raise_error),
            lambda bench, sock, server: sock.shutdown(socket.SHUT_WR),
        )

    def test_write_connection_lost(self) -> None:
        """In writeConnectionLost."""

        class Fragile(HalfRecorder):
            def writeConnectionLost(self) -> None:
                raise ZeroDivisionError

        self.crash(
            Service(protocol=Fragile),
            lambda bench, sock, server: server.transport.loseWriteConnection(),
        )

    def test_producers(self) -> None:
        """In every method of a producer."""

        def provoke(bench: HubOnAClock, sock: socket.socket, server: Recorder) -> None:
            server.transport.registerProducer(Fragile(), True)
            server.factory.data = lambda server, data: server.transport.write(BIG)
            sock.sendall(b"x")

        @implementer(interfaces.IPushProducer)
        class Fragile:
            pauseProducing = resumeProducing = stopProducing = self.raise_error

        self.crash(Service(), provoke, errors=2)

    def test_stop_factory(self) -> None:
        """In the factory's doStop, though the port is closed nonetheless."""
        service = Service()
        bench = self.bench(service)
        sock, _ = self.connect(bench)
        self.patch(service, "doStop", self.raise_error)
        stopped = bench.port.stopListening()
        bench.clock.advance(0)
        self.successResultOf(stopped)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        sock.sendall(b"still here")
        bench.turn()
        self.assertEqual(sock.recv(20), b"still here")
