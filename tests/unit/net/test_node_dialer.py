"""Connections that nodes make with each other: in the hub, by TLS, and what goes wrong."""

import contextlib
import socket
import ssl
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.error import ConnectionRefusedError as NobodyListens
from twisted.internet.error import TimeoutError as TooLate
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.unit.cluster.links import LinkedNode, start, turns, until
from xmppd.cluster.node import Node, NodeId
from xmppd.config.config import ListenSettings, StreamSettings
from xmppd.net.epoll_connection import SocketLimits
from xmppd.net.epoll_dialling import DialledConnection, Dialling
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.epoll_hub import Hub
from xmppd.net.epoll_tls import TLSConnection
from xmppd.net.listen_endpoint import ListenEndpoint
from xmppd.net.node_dialer import CONNECT_WITHIN_S, NODE_LIMITS, DialingReactor, NodeDialer
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub


class Ends(Protocol):
    """Notes what happens to it."""

    def __init__(self) -> None:
        self.seen = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.seen += data

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        self.lost = reason


class DiallingTests(SynchronousTestCase):
    """A socket of the hub that is being connected; turns come when the test says so."""

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.protocol = Ends()
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)

    def dial(self, port: int, host: str = "127.0.0.1") -> "Deferred[None]":
        """Begin."""
        clock = cast(Any, self.clock)
        return Dialling(clock, host, port, self.protocol, SocketLimits()).within(CONNECT_WITHIN_S)

    def turn(self) -> None:
        """A turn of the hub."""
        Hub.of(cast(Any, self.clock)).doRead()

    def test_connected(self) -> None:
        """It becomes a connection of the hub, which is no other than one that came in."""
        done = self.dial(self.listening.getsockname()[1])
        self.assertNoResult(done)
        self.turn()
        self.successResultOf(done)
        with self.listening.accept()[0] as there:
            transport = cast(Any, self.protocol.transport)
            self.assertIsInstance(transport, DialledConnection)
            self.assertTrue(transport.getTcpNoDelay())
            transport.write(b"hello")
            self.turn()
            self.assertEqual(there.recv(10), b"hello")
            there.sendall(b"you")
            self.turn()
            self.assertEqual(self.protocol.seen, b"you")
        self.turn()
        self.assertIsNotNone(self.protocol.lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_refused(self) -> None:
        """Nobody listens there."""
        port = self.listening.getsockname()[1]
        self.listening.close()
        done = self.dial(port)
        self.turn()
        self.failureResultOf(done, NobodyListens)
        self.turn()
        self.assertEqual((self.clock.getReaders(), self.clock.getDelayedCalls()), ([], []))

    def test_no_way(self) -> None:
        """The machine knows at once that there is no way."""
        self.failureResultOf(self.dial(1, "255.255.255.255"), ConnectError)
        self.clock.advance(0)
        self.assertEqual((self.clock.getReaders(), self.clock.getDelayedCalls()), ([], []))

    def test_too_late(self) -> None:
        """Nobody answers, or it is given up before."""
        done = self.dial(self.listening.getsockname()[1])
        self.clock.advance(CONNECT_WITHIN_S)
        self.failureResultOf(done, TooLate)
        done = self.dial(self.listening.getsockname()[1])
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.turn()
        self.assertEqual((self.clock.getReaders(), self.clock.getDelayedCalls()), ([], []))

    def test_stop(self) -> None:
        """The reactor stops meanwhile."""
        done = self.dial(self.listening.getsockname()[1])
        Hub.of(cast(Any, self.clock)).connectionLost(Failure(ConnectError()))
        self.failureResultOf(done, ConnectError)


class TurnEndTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.calls: list[str] = []

    def test_of_hub(self) -> None:
        """What is said outside of a turn has one of its own; an error ends one call only."""
        later = at_end_of_turn_of_hub(cast(Any, self.clock))
        later(lambda: self.calls.append("1"))
        later(lambda: self.calls.remove("0"))
        later(lambda: self.calls.append("2"))
        self.assertEqual(self.calls, [])
        self.clock.advance(0)
        self.assertEqual(self.calls, ["1", "2"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_in_a_turn(self) -> None:
        """What is said in a turn of the hub leaves in it."""
        later = at_end_of_turn_of_hub(cast(Any, self.clock))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            protocol = Ends()
            host, port = listening.getsockname()
            done = Dialling(cast(Any, self.clock), host, port, protocol, SocketLimits()).done
            write = lambda: cast(Any, protocol.transport).write(b"hello")  # noqa: E731
            done.addCallback(lambda _: later(write))
            Hub.of(cast(Any, self.clock)).doRead()
            with listening.accept()[0] as there:
                self.assertEqual(there.recv(10), b"hello")
                cast(Any, protocol.transport).abortConnection()
                self.clock.advance(0)

    def test_of_any_reactor(self) -> None:
        """With any other reactor it leaves in the next turn."""
        at_end_of_turn(self.clock)(lambda: self.calls.append("1"))
        self.assertEqual(self.calls, [])
        self.clock.advance(0)
        self.assertEqual(self.calls, ["1"])


class TwoAddresses:
    """Finds two addresses for each name; nobody listens at the first one."""

    def resolveHostName(self, receiver: Any, name: str) -> None:
        """Find them."""
        for host in ("127.0.0.2", "127.0.0.1"):
            receiver.addressResolved(IPv4Address("TCP", host, 0))
        receiver.resolutionComplete()


def reactor_with_names() -> MemoryReactorClock:
    """A reactor for which each name has two addresses."""
    with_names = MemoryReactorClock()
    with_names.nameResolver = TwoAddresses()  # type: ignore[assignment]  # it is enough of one
    return with_names


class NodeDialerTests(TestCase):
    timeout = 20

    def dial(self, address: str, *, in_hub: bool) -> "Deferred[None]":
        """Dial a node that is there."""
        dialer = NodeDialer(cast(DialingReactor, reactor), in_hub=in_hub)
        return dialer.dial(Node(id=NodeId("b", 1), address=address), cast(Any, Ends()))

    async def test_no_address(self) -> None:
        """An address that is none, and a name that nobody has."""
        for address in ("", "10.0.0.5", "10.0.0.5:http"):
            error = await self.assertFailure(self.dial(address, in_hub=True), ConnectError)
            self.assertIn(f"the address {address!r} is invalid", str(error))
        nobody = self.dial("nobody.invalid:1", in_hub=True)
        await self.assertFailure(nobody, DNSLookupError)

    async def test_given_up(self) -> None:
        """Who gives up does not try the other addresses of a name."""
        clock = reactor_with_names()
        dialer = NodeDialer(cast(DialingReactor, clock), in_hub=True)
        node = Node(id=NodeId("b", 1), address="b.example:9")
        done = dialer.dial(node, cast(Any, Ends()))
        self.assertEqual(len(clock.getReaders()), 1)
        done.cancel()
        await self.assertFailure(done, CancelledError)
        clock.advance(0)
        self.assertEqual(clock.getReaders(), [])

    async def test_next_address(self) -> None:
        """If nobody answers at one address of a name, the next one is tried."""
        clock = reactor_with_names()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            dialer = NodeDialer(cast(DialingReactor, clock), in_hub=True)
            protocol = Ends()
            node = Node(id=NodeId("b", 1), address=f"b.example:{port}")
            done = dialer.dial(node, cast(Any, protocol))
            for _ in range(4):
                Hub.of(cast(Any, clock)).doRead()
            await done
            transport = cast(Any, protocol.transport)
            self.assertEqual(transport.getPeer().host, "127.0.0.1")
            transport.abortConnection()
            clock.advance(0)

    async def test_refused(self) -> None:
        """Nobody listens there, for both kinds of connections."""
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
        for in_hub in (True, False):
            await self.assertFailure(self.dial(f"127.0.0.1:{port}", in_hub=in_hub), NobodyListens)


class NodeTLSTests(TestCase):
    """TLS between nodes is 1.3, and both ends show their certificate."""

    timeout = 20

    async def test_version(self) -> None:
        """TLS 1.3 is spoken."""
        a, b = LinkedNode("a"), LinkedNode("b")
        for node in (a, b):
            self.addCleanup(node.stop)
        await start(a, b)
        await until(lambda: len(a.bus._connections) == 1)  # both have dialled
        (connection,) = a.bus._connections
        transport = cast(TLSConnection, connection.transport)
        handle = cast(Any, transport.getHandle())
        self.assertEqual(handle.get_protocol_version_name(), "TLSv1.3")
        assert b.tls is not None
        self.assertEqual(connection.certificate, b.tls.digest)
        self.assertTrue(transport.goes_first)  # before all who have not logged in

    async def test_older(self) -> None:
        """Who speaks an older version, or shows no certificate, does not come in."""
        node = LinkedNode("a")
        self.addCleanup(node.stop)
        await node.listen()
        for older in (True, False):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            if older:
                context.maximum_version = ssl.TLSVersion.TLSv1_2
            with socket.create_connection(("127.0.0.1", node.port_number)) as sock:
                sock.setblocking(False)
                tls = context.wrap_socket(sock, do_handshake_on_connect=False)
                refused = node.bus.door.refused
                while node.bus.door.refused == refused:
                    with contextlib.suppress(ssl.SSLError):
                        tls.do_handshake()
                    await turns(1)
                tls.close()


class ListenTests(SynchronousTestCase):
    def test_limits(self) -> None:
        """What waits for another node is limited by its window, not by what a client may have."""
        listen = ListenSettings(endpoint="epoll:0", kind="node", tls="none")
        endpoint = ListenEndpoint(listen, StreamSettings(), cast(Any, reactor)).endpoint
        assert isinstance(endpoint, EPollServerEndpoint)
        self.assertEqual(endpoint.limits, NODE_LIMITS)
