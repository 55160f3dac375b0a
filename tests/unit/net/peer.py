"""The two ends of a wire under test: a server that notes what happens to it, and blocking clients.

Clients run in threads, so that they meet the server over real sockets in its own time.
"""

import select
import socket
import ssl
import struct
from collections.abc import Callable
from typing import TypeVar, cast

from twisted.internet import reactor, tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol, IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.net.epoll_connection import EPollConnection, SocketLimits
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.epoll_hub import Hub
from xmppd.net.epoll_port import Port
from xmppd.net.epoll_tls import TLSConnection

T = TypeVar("T")

clock = cast(ReactorBase, reactor)

BIG = bytes(range(256)) * 20_000
TIMEOUT_S = 10.0


class Recorder(Protocol):
    """Notes what happens; the Service says what to do about it."""

    factory: "Service"
    transport: tcp.Server

    def __init__(self) -> None:
        self.seen = b""
        self.calls: list[str] = []
        self.inside_a_call = False
        self.reason = Failure(Exception("still connected"))
        self._ended: Deferred[None] = Deferred()
        self._waiting: list[tuple[int, Deferred[None]]] = []

    def connectionMade(self) -> None:
        self.calls.append("made")
        self.factory.made(self)
        self.factory.connections.put(self)

    def dataReceived(self, data: bytes) -> None:
        self.seen += data
        for waiting in list(self._waiting):
            if len(self.seen) >= waiting[0]:
                self._waiting.remove(waiting)
                waiting[1].callback(None)
        self.factory.data(self, data)

    def connectionLost(self, reason: Failure = Failure(Exception())) -> None:  # noqa: B008
        assert not self.inside_a_call, "connectionLost from inside a call"
        self.calls.append("lost")
        self.reason = reason
        self._ended.callback(None)
        self.factory.lost(self)

    async def end(self) -> Failure:
        """Why the connection ended, once it has."""
        if "lost" not in self.calls:
            await self._ended
        return self.reason

    async def has_seen(self, count: int) -> None:
        """Wait until so many bytes have come."""
        if len(self.seen) < count:
            seen: Deferred[None] = Deferred()
            self._waiting.append((count, seen))
            await seen


@implementer(IHalfCloseableProtocol)
class HalfRecorder(Recorder):
    """Does not end with its input."""

    def readConnectionLost(self) -> None:
        self.calls.append("read")
        self.factory.half_read(self)

    def writeConnectionLost(self) -> None:
        self.calls.append("write")


def nothing(server: Recorder, *data: bytes) -> None:
    """What most servers do about most things."""


def echo(server: Recorder, data: bytes) -> None:
    """Send back what has come."""
    assert server.transport is not None
    server.transport.write(data)


class Service(Factory):
    """Makes Recorders and decides for them."""

    noisy = False
    refuses = False
    fails = False

    def __init__(
        self,
        data: Callable[[Recorder, bytes], object] = echo,
        made: Callable[[Recorder], object] = nothing,
        lost: Callable[[Recorder], object] = nothing,
        half_read: Callable[[Recorder], object] = nothing,
        protocol: type[Recorder] = Recorder,
    ) -> None:
        self.recorder = protocol
        self.data = data
        self.made = made
        self.lost = lost
        self.half_read = half_read
        self.all: list[Recorder] = []
        self.connections: DeferredQueue[Recorder] = DeferredQueue()

    def buildProtocol(self, addr: IAddress | None) -> Recorder | None:  # type: ignore[override]  # no other
        if self.fails:
            raise ZeroDivisionError
        if self.refuses:
            return None
        server = self.recorder()
        server.factory = self
        self.all.append(server)
        return server


def descriptor(server: Recorder) -> int:
    """The number of the server's socket."""
    transport: object = server.transport
    return transport.fd if isinstance(transport, EPollConnection) else server.transport.fileno()


def ours(server: Recorder) -> TLSConnection:
    """The server's transport when it is one of ours."""
    return cast(TLSConnection, server.transport)


def port_number(port: IListeningPort) -> int:
    """Where it listens."""
    address = port.getHost()
    assert isinstance(address, IPv4Address | IPv6Address)
    return address.port


def dial(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A client's socket, blocking, never for ever."""
    sock = socket.create_connection((host, port), TIMEOUT_S)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def exactly(sock: socket.socket, count: int) -> bytes:
    """The next so many bytes."""
    got = b""
    while len(got) < count:
        data = sock.recv(count - len(got))
        assert data, "closed early"
        got += data
    return got


def everything(sock: socket.socket) -> bytes:
    """All bytes up to the end; RESET if that was no clean one."""
    got = bytearray()
    try:
        while data := sock.recv(65_536):
            got += data
    except ConnectionResetError:
        got += b"RESET"
    return bytes(got)


def both_ways(sock: socket.socket, data: bytes) -> bytes:
    """Send while receiving as much."""
    sock.setblocking(False)
    sent, got = 0, bytearray()
    while len(got) < len(data):
        select.select([sock], [sock] if sent < len(data) else [], [], TIMEOUT_S)
        try:
            if sent < len(data):
                sent += sock.send(data[sent : sent + 65_536])
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        try:
            more = sock.recv(65_536)
            assert more, "closed early"
            got += more
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
    sock.setblocking(True)
    return bytes(got)


def reset(sock: socket.socket) -> None:
    """Close with a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def wait_for_hang_up(fd: int) -> None:
    """Block until the kernel knows that the peer of this socket is gone."""
    poll = select.poll()
    poll.register(fd, select.POLLRDHUP)
    assert poll.poll(TIMEOUT_S * 1000), "the peer is still there"


def wait_for_input(fd: int) -> None:
    """Block until the kernel has bytes for this socket."""
    assert select.select([fd], [], [], TIMEOUT_S)[0], "nothing came"


def has_input(sock: socket.socket) -> bool:
    """Whether the kernel has something for this socket now."""
    return bool(select.select([sock], [], [], 0)[0])


def in_thread(function: Callable[..., T], *args: object) -> "Deferred[T]":
    """Run a blocking client beside the reactor."""
    return deferToThread(function, *args)


def next_turn() -> "Deferred[None]":
    """What was due in this turn of the reactor has happened."""
    return deferLater(clock, 0, nothing, None)


class HubOnAClock:
    """Our endpoint without a reactor: turns and time come when the test says so."""

    def __init__(self, service: Service, limits: SocketLimits | None = None) -> None:
        self.service = service
        self.clock = MemoryReactorClock()
        endpoint = EPollServerEndpoint(
            self.clock, 0, interface="127.0.0.1", limits=limits or SocketLimits()
        )
        ports: list[IListeningPort] = []
        endpoint.listen(service).addCallback(ports.append)
        port = ports[0]
        assert isinstance(port, Port)
        self.port = port
        self.hub = Hub.of(self.clock)

    @property
    def has_work(self) -> bool:
        """Whether a reactor would call the hub now."""
        return bool(select.select([self.hub.fileno()], [], [], 0)[0])

    def turn(self) -> None:
        """What the reactor does once a socket is ready."""
        wait_for_input(self.hub.fileno())
        self.hub.doRead()

    def connect(self) -> tuple[socket.socket, Recorder]:
        """A client and the server it got."""
        sock = dial(port_number(self.port))
        before = len(self.service.all)
        while len(self.service.all) == before:
            self.turn()
        return sock, self.service.all[-1]

    def stop(self) -> None:
        """As the reactor does in the end."""
        self.hub.connectionLost(Failure(ConnectionDone()))
