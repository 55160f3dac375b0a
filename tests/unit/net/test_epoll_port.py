"""Accepting: how many at once, who is turned away, and what happens without descriptors."""

import os
import resource
import socket
from pathlib import Path

from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.net.peer import HubOnAClock, Recorder, Service, dial, port_number, reset
from xmppd.net import epoll_hub
from xmppd.net.epoll_endpoint import EPollServerEndpoint, endpoint_from_strings
from xmppd.net.epoll_hub import Hub
from xmppd.net.epoll_port import RETRY_ACCEPT_S


class AcceptTests(SynchronousTestCase):
    """Port."""

    def setUp(self) -> None:
        self.patch(epoll_hub, "TURN_S", 60.0)  # However busy this machine is.
        self.service = Service()
        self.bench = HubOnAClock(self.service)
        self.addCleanup(self.bench.stop)

    def dial(self) -> socket.socket:
        sock = dial(port_number(self.bench.port))
        self.addCleanup(sock.close)
        return sock

    def connect(self) -> Recorder:
        """The server of a new client."""
        sock, server = self.bench.connect()
        self.addCleanup(sock.close)
        return server

    def test_sixteen_a_turn(self) -> None:
        """Of a connections sixteen are let in a turn; the others wait, and nobody is forgotten."""
        for _ in range(40):
            self.dial()
        counts = []
        for _ in range(3):
            self.bench.turn()
            counts.append(len(self.service.all))
        self.assertEqual(counts, [16, 32, 40])

    def test_no_delay(self) -> None:
        """A small stanza does not wait for the acknowledgement of the one before."""
        server = self.connect()
        self.assertTrue(server.transport.getTcpNoDelay())

    def test_already_gone(self) -> None:
        """A client that was reset before it was accepted does no harm."""
        reset(dial(port_number(self.bench.port)))
        self.bench.turn()
        server = self.connect()
        self.assertEqual(server.calls, ["made"])

    def test_factory_fails(self) -> None:
        """A factory that raises turns that client away; the port goes on."""
        self.service.fails = True
        refused = self.dial()
        self.bench.turn()
        self.assertEqual(refused.recv(1), b"")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.service.fails = False
        self.connect()

    def test_made_fails(self) -> None:
        """A protocol that fails in connectionMade is closed; the port goes on."""

        def fail(server: Recorder) -> None:
            raise ZeroDivisionError

        self.service.made = fail
        refused = self.dial()
        self.bench.turn()
        self.assertEqual(refused.recv(1), b"")
        self.assertTrue(self.service.all[0].reason.check(ZeroDivisionError))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.service.made = lambda server: None
        self.connect()

    def test_stopped_by_its_own_client(self) -> None:
        """A protocol may stop the port that has just made it."""
        self.service.made = lambda server: self.bench.port.stopListening()
        self.dial(), self.dial()
        self.bench.turn()
        self.assertEqual(len(self.service.all), 1)

    def test_no_descriptors_left(self) -> None:
        """Without a descriptor for one more client it waits in the backlog, and nothing spins."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        with Path(os.devnull).open("rb") as spare:
            limit = spare.fileno() + 1
        hogs: list[int] = []
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        try:
            while True:
                try:
                    hogs.append(os.dup(0))
                except OSError:
                    break
            sock.connect(("127.0.0.1", port_number(self.bench.port)))
            self.bench.turn()
            self.assertEqual(self.service.all, [])
            self.bench.hub.doRead()
            self.assertEqual(len(self.bench.clock.getDelayedCalls()), 1)
        finally:
            for hog in hogs:
                os.close(hog)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertFalse(self.bench.has_work)
        self.bench.clock.advance(RETRY_ACCEPT_S)
        self.bench.turn()
        self.assertEqual(len(self.service.all), 1)

    def test_stopped_while_out_of_descriptors(self) -> None:
        """A port that stops while it rests leaves no timer behind."""
        self.bench.port._rest(OSError(24, "no descriptors"))
        self.bench.port.stopListening()
        self.bench.clock.advance(0)
        self.assertEqual(self.bench.clock.getDelayedCalls(), [])


class ListenTests(SynchronousTestCase):
    """EPollServerEndpoint.listen."""

    def test_ipv6(self) -> None:
        """Clients of IPv6 are served, and their address is one."""
        clock = MemoryReactorClock()
        service = Service()
        port = self.successResultOf(EPollServerEndpoint(clock, 0, "::1").listen(service))
        with dial(port_number(port), "::1") as sock:
            Hub.of(clock).doRead()
            peer = service.all[0].transport.getPeer()
            self.assertEqual((peer.host, peer.port), sock.getsockname()[:2])
        Hub.of(clock).connectionLost(Failure(Exception()))

    def test_all_of_ipv4(self) -> None:
        """Without an interface every IPv4 address is listened on."""
        clock = MemoryReactorClock()
        port = self.successResultOf(EPollServerEndpoint(clock, 0).listen(Service()))
        self.assertEqual(str(port.getHost()).count("0.0.0.0"), 1)
        Hub.of(clock).connectionLost(Failure(Exception()))

    def test_impossible_addresses(self) -> None:
        """An address that is not ours, or none at all, is said to be at once."""
        for interface in ("192.0.2.1", "not an address", "2001:db8::1"):
            with self.subTest(interface=interface):
                clock = MemoryReactorClock()
                listening = EPollServerEndpoint(clock, 0, interface).listen(Service())
                self.failureResultOf(listening, CannotListenError)
                self.assertEqual(list(clock.readers), [])


class SharedPortTests(SynchronousTestCase):
    """Several processes of one machine may listen at one port."""

    def test_shared(self) -> None:
        """Those that say so share it; whoever does not is kept out, and keeps others out."""
        first = endpoint_from_strings(MemoryReactorClock(), "0", "127.0.0.1", reuseport="yes")
        ours = self.successResultOf(first.listen(Service()))
        self.addCleanup(ours.stopListening)
        number = str(port_number(ours))
        second = endpoint_from_strings(MemoryReactorClock(), number, "127.0.0.1", reuseport="yes")
        theirs = self.successResultOf(second.listen(Service()))
        self.addCleanup(theirs.stopListening)
        self.assertEqual(port_number(theirs), port_number(ours))
        other = endpoint_from_strings(MemoryReactorClock(), number, "127.0.0.1")
        self.failureResultOf(other.listen(Service()), CannotListenError)

    def test_neither(self) -> None:
        """It is "yes" or "no"."""
        self.assertRaises(
            ValueError, endpoint_from_strings, MemoryReactorClock(), "0", reuseport="true"
        )
