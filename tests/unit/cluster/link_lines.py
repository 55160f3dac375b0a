"""Connections between nodes in memory, whose bytes arrive when the test says so."""

from collections import deque
from collections.abc import Callable, Iterator
from random import Random

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.unit.cluster.bus_contract import PausableMembership
from tests.unit.cluster.conversations import DOMAIN
from tests.unit.cluster.links import SECRET
from xmppd.cluster.bus import Outcome
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.link_bus import LinkBus, LinkSettings
from xmppd.cluster.link_protocol import LinkProtocol
from xmppd.cluster.node import Node, NodeId

Dial = Callable[[Node, LinkProtocol], "Deferred[None]"]


class LineEnd:
    """One end of a connection: a transport.

    Attributes:
        arriving: What the other end has written.
        lost: Whether it is gone.
        stuck: Whether nothing arrives here any more, and nobody is told.
    """

    def __init__(self, protocol: LinkProtocol) -> None:
        self.protocol = protocol
        self.arriving: deque[bytes | Exception] = deque()
        self.other: LineEnd
        self.lost = self.stuck = False

    def write(self, data: bytes) -> None:
        """Send some bytes."""
        if not self.lost:
            self.other.arriving.append(data)

    def loseConnection(self) -> None:
        """Close behind what was written."""
        self._close(ConnectionDone())

    def abortConnection(self) -> None:
        """Close at once."""
        self._close(ConnectionLost())

    def getPeer(self) -> IPv4Address:
        """Some address."""
        return IPv4Address("TCP", "192.0.2.1", 1)

    def _close(self, reason: Exception) -> None:
        if not self.lost:
            self.lost = True
            self.other.arriving.append(reason)
            self.arriving.clear()
            self.arriving.append(reason)

    def deliver(self, size: int | None = None) -> None:
        """Let some bytes arrive, or the end."""
        something = self.arriving.popleft()
        if isinstance(something, Exception):
            self.lost = True
            self.arriving.clear()
            self.protocol.connectionLost(Failure(something))
        else:
            if size is not None and size < len(something):
                self.arriving.appendleft(something[size:])
                something = something[:size]
            self.protocol.dataReceived(something)


class LineNode:
    """A node whose connections are in memory.

    Attributes:
        got: What came from others.
        reachable: Whether it gets to others.
    """

    def __init__(self, name: str, lines: "Lines", generation: int = 1) -> None:
        self.id = NodeId(name, generation)
        self.lines = lines
        self.dial: Dial = self.connect
        self.members: dict[str, Node] = {}
        self.membership = PausableMembership(self.id, self.members)
        self.got: list[BusEntry] = []
        self.reachable = True
        self.turn_ends: list[Callable[[], None]] = []
        self.bus = LinkBus(
            self.membership, lines.clock, self.turn_ends.append, BusSettings((DOMAIN,)),
            LinkSettings(self._dial, None, SECRET, lease_s=5.0),
        )  # fmt: skip
        self.bus.take = self.take

    def take(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Take an entry."""
        self.got.append(entry)
        return None

    def _dial(self, node: Node, protocol: LinkProtocol) -> "Deferred[None]":
        return self.dial(node, protocol)

    def connect(self, node: Node, protocol: LinkProtocol) -> "Deferred[None]":
        """Connect with another node."""
        there = self.lines.nodes.get(node.id)
        if there is None or not self.reachable:
            return fail(ConnectError("there is no way"))
        self.lines.connect(protocol, there.bus.door.buildProtocol(None))
        return succeed(None)

    def end_turn(self) -> None:
        """End a turn of the reactor."""
        ends, self.turn_ends[:] = list(self.turn_ends), []
        for end in ends:
            end()


class Lines:
    """Nodes, and the connections between them."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.ends: list[LineEnd] = []
        self.nodes = {NodeId(name, 1): LineNode(name, self) for name in names}
        for node in self.nodes.values():
            for other in self.nodes.values():
                node.members[other.id.name] = Node(id=other.id, address="192.0.2.1:1")

    def __iter__(self) -> Iterator[LineNode]:
        return iter(self.nodes.values())

    def connect(self, dialling: LinkProtocol, answering: LinkProtocol) -> None:
        """Connect two protocols."""
        here, there = LineEnd(dialling), LineEnd(answering)
        here.other, there.other = there, here
        self.ends += here, there
        for end in (there, here):
            end.protocol.makeConnection(end)

    def arriving(self) -> list[LineEnd]:
        """Where something can arrive."""
        return [end for end in self.ends if end.arriving and not end.stuck]

    def settle(self, random: Random | None = None) -> None:
        """Let all arrive that is under way, in any order of the connections."""
        while True:
            for node in self:
                node.end_turn()
            arriving = self.arriving()
            if not arriving:
                return
            if random is None:
                arriving[0].deliver()
            else:
                random.choice(arriving).deliver(random.choice((None, 1, 30)))

    def wait(self, seconds: float, random: Random | None = None) -> None:
        """Let time pass, and all arrive meanwhile."""
        for _ in range(round(seconds * 10)):
            self.clock.advance(0.1)
            self.settle(random)
