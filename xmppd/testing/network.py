"""Connections in memory: between a client and the server, and between servers."""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Protocol as Typed

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IProtocol, ISystemHandle
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from xmppd.cluster.node import NodeId
from xmppd.config.config import ListenSettings
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.transport import Watchable
from xmppd.resolve.connector import Visitor
from xmppd.resolve.lost import not_found
from xmppd.resolve.targets import Directions, Target
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import JID


@implementer(ISystemHandle)
class MemoryTransport(StringTransport):
    """A transport in memory that tells its protocol when it is closed.

    Attributes:
        ended: Whether the server will write no more.
        lost: Whether it is closed.
    """

    protocol: Protocol
    ended = lost = False

    def __init__(self, address: str, protocol: Protocol) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", address, 40_000))  # type: ignore[no-untyped-call]
        self.protocol = protocol

    def getHandle(self) -> None:
        """None, since there is no socket."""

    def take(self) -> bytes:
        """The bytes that were written since the last call."""
        data: bytes = self.value()  # type: ignore[no-untyped-call]
        self.clear()  # type: ignore[no-untyped-call]
        return data

    def loseWriteConnection(self) -> None:
        """Close the server's half: its peer sees the end, and may still send."""
        self.ended = True

    def loseConnection(self) -> None:
        """Close, once the written bytes have been read: at once, here."""
        self._close(ConnectionDone())

    def abortConnection(self) -> None:
        """Close at once."""
        self._close(ConnectionLost())

    def _close(self, reason: Exception) -> None:
        if not self.lost:
            self.lost = True
            self.disconnecting = True
            protocol, self.producer = self.protocol, None
            del self.protocol
            protocol.connectionLost(Failure(reason))


class Home(Typed):
    """A house, as far as the network and its clients know it.

    Attributes:
        server: The server in it.
        network: The network that it is in.
        address: Its IP address there.
        domain: The first one it serves.
    """

    server: XMPPServer
    network: "Network"
    address: str
    domain: str

    @property
    def clock(self) -> Clock:
        """Turned by hand."""

    def jid(self, name: str) -> JID:
        """The account of this name."""


class MemoryLine(Watchable):
    """One end of a connection between two houses: written bytes arrive when the network settles."""

    def __init__(self, network: "Network", address: str) -> None:
        self.network = network
        self.address = address
        self.protocol: ConnectionHandler
        self.other: MemoryLine
        self.lost = False
        self.sent = b""

    def write(self, data: bytes) -> None:
        """Let bytes arrive at the other end, later."""
        self.sent += data
        if not self.lost:
            self.network.later(self.other.receive, data)

    def receive(self, data: bytes) -> None:
        """Take bytes that arrive."""
        if not self.lost:
            self.protocol.dataReceived(data)

    def loseConnection(self) -> None:
        """Close both ends, behind the written bytes."""
        self.network.later(self.close, ConnectionDone())
        self.network.later(self.other.close, ConnectionDone())

    def loseWriteConnection(self) -> None:
        """Close the other end, behind the written bytes, and with it this one."""
        self.network.later(self.other.close, ConnectionDone())
        self.network.later(self.close, ConnectionDone())

    def abortConnection(self) -> None:
        """Close both ends; written bytes are lost."""
        self.close(ConnectionLost())
        self.network.later(self.other.close, ConnectionLost())

    def close(self, reason: Exception) -> None:
        """Tell the protocol, once."""
        if not self.lost:
            self.lost = True
            protocol = self.protocol
            del self.protocol
            protocol.connectionLost(Failure(reason))

    def getPeer(self) -> IPv4Address:
        """The address of the other end."""
        return IPv4Address("TCP", self.other.address, 5269)

    def getHandle(self) -> object:
        """None, since there is no socket."""
        return None

    def startTLS(self, contexts: object) -> None:
        """Do nothing, since there is no need."""

    def watch_queue(self, watcher: object) -> None:
        """Do nothing, since it takes everything."""

    def pauseProducing(self) -> None:
        """Do nothing: the protocol keeps bytes that arrive."""

    def resumeProducing(self) -> None:
        """Do nothing: the protocol has these bytes."""


class Network:
    """The lines between houses.

    Attributes:
        houses: By domain: those that can be found.
        lines: All that were ever made, the caller's end first.
        choose: Given the number of things that may arrive next, says which of them does; None for
            the oldest. What one object gets from one node arrives in its order all the same.
        held: Whether things stay under way until :meth:`arrive` is called.
    """

    def __init__(self) -> None:
        self.houses: dict[str, Home] = {}
        self.lines: list[tuple[MemoryLine, MemoryLine]] = []
        self.choose: Callable[[int], int] | None = None
        self.held = False
        self._due: deque[tuple[Callable[..., None], tuple[object, ...]]] = deque()
        self._settling = False

    def later(self, call: Callable[..., None], *args: object) -> None:
        """Call a function when the network settles, behind all others."""
        self._due.append((call, args))

    def settle(self) -> None:
        """Let all bytes arrive that are under way, and the answers to them."""
        if self._due and not self.held:
            self.arrive()

    def arrive(self, most: float = inf) -> None:
        """Let some of what is under way arrive, or all of it."""
        if self._settling:
            return
        self._settling = True
        try:
            while self._due and most > 0:
                arrive, what = self._next()
                arrive(*what)
                most -= 1
        finally:
            self._settling = False

    def _next(self) -> tuple[Callable[..., None], tuple[object, ...]]:
        if self.choose is None or len(self._due) == 1:
            return self._due.popleft()
        firsts: dict[object, int] = {}
        for number, (call, args) in enumerate(self._due):
            if not args:  # nothing arrives: somebody's turn ends
                firsts = {None: number}
                break
            node = args[0] if isinstance(args[0], NodeId) else None
            firsts.setdefault((id(getattr(call, "__self__", call)), node), number)
        numbers = tuple(firsts.values())
        chosen = numbers[self.choose(len(numbers)) if len(numbers) > 1 else 0]
        due = self._due[chosen]
        del self._due[chosen]
        return due

    def abort(self, domain: str) -> None:
        """The server of this domain is not found any more, and its lines break."""
        house = self.houses.pop(domain)
        for ends in self.lines:
            for line in ends:
                if line.address == house.address:
                    line.abortConnection()
        self.settle()


class MemoryConnector:
    """Finds the houses of a network."""

    def __init__(self, house: Home) -> None:
        self.house = house

    def use(self, directions: Directions) -> None:
        """Do nothing: every house is where it is."""

    async def connect(self, domain: str, visitor: Visitor) -> IProtocol:
        """A line to the house that serves a domain.

        Raises:
            StanzaError: REMOTE_SERVER_NOT_FOUND: there is none.
        """
        network = self.house.network
        here = Deferred[None]()
        network.later(here.callback, None)
        await here
        there = network.houses.get(domain)
        if there is None:
            raise not_found("there is no such house")
        ours, theirs = MemoryLine(network, self.house.address), MemoryLine(network, there.address)
        ours.other, theirs.other = theirs, ours
        network.lines.append((ours, theirs))
        listener = there.server.listeners.listener(
            ListenSettings(endpoint="", kind="server", tls="none")
        )
        theirs.protocol = listener.buildProtocol(IPv4Address("TCP", self.house.address, 1))
        protocol = visitor.make(Target(there.address))
        assert isinstance(protocol, ConnectionHandler)
        ours.protocol = protocol
        for line in (theirs, ours):
            line.protocol.makeConnection(line)  # type: ignore[no-untyped-call]
        await visitor.settle(protocol)
        return protocol

    def forget(self, domain: str) -> None:
        """Do nothing, since nothing is remembered."""


def federate(*houses: Home) -> Network:
    """Let houses find each other; stanzas from one arrive at the other when a client looks.

    That is whenever a client sends or receives, or with :meth:`Network.settle`. Each keeps its own
    clock.
    """
    network = Network()
    for number, house in enumerate(houses, 1):
        house.address = f"198.51.100.{number}"
        house.network = network
        for domain in house.server.domains:
            network.houses[domain] = house
    return network
