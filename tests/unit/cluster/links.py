"""Nodes that have real connections with each other, on loopback."""

from collections.abc import Callable
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater

from tests.unit.cluster.bus_contract import PausableMembership
from tests.unit.cluster.conversations import DOMAIN
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.link_bus import LinkBus, LinkSettings
from xmppd.cluster.link_protocol import LinkProtocol
from xmppd.cluster.node import Node, NodeId
from xmppd.net.epoll_endpoint import EPollServerEndpoint
from xmppd.net.node_dialer import DialingReactor, NodeDialer
from xmppd.net.node_tls import NodeTLS
from xmppd.net.turn_end import at_end_of_turn, at_end_of_turn_of_hub

SECRET = b"only for tests"


class LinkedNode:
    """A node that listens for others, and dials them.

    Args:
        name: Of the node.
        in_hub: Whether its connections are in the hub.
        tls: Whether they are by TLS.
        lease_s: After which one that is silent is dead.

    Attributes:
        reachable: Whether it gets to other nodes.
    """

    def __init__(
        self, name: str, *, in_hub: bool = True, tls: bool = True, lease_s: float = 5.0
    ) -> None:
        self.id = NodeId(name, 1)
        self.members: dict[str, Node] = {}
        self.membership = PausableMembership(self.id, self.members)
        self.tls = NodeTLS() if tls else None
        self.reachable = True
        self.in_hub = in_hub
        self.dialled = 0
        self.bus = LinkBus(
            self.membership,
            reactor,
            at_end_of_turn_of_hub(reactor) if in_hub else at_end_of_turn(reactor),
            BusSettings((DOMAIN,)),
            LinkSettings(self.dial, self.tls, SECRET, lease_s),
        )
        self._dialer = NodeDialer(cast(DialingReactor, reactor), in_hub=in_hub)
        self.port: IListeningPort

    async def listen(self) -> None:
        """Open its door."""
        kind = EPollServerEndpoint if self.in_hub else TCP4ServerEndpoint
        self.port = await kind(reactor, 0, interface="127.0.0.1").listen(self.bus.door)

    @property
    def record(self) -> Node:
        """What the directory has of it."""
        certificate = "" if self.tls is None else self.tls.digest
        return Node(id=self.id, address=f"127.0.0.1:{self.port_number}", certificate=certificate)

    @property
    def port_number(self) -> int:
        """Where it listens."""
        host: Any = self.port.getHost()
        return int(host.port)

    def dial(self, node: Node, protocol: LinkProtocol) -> "Deferred[None]":
        """Connect with another node."""
        self.dialled += 1
        if not self.reachable:
            return fail(ConnectError("the way is cut"))
        return self._dialer.dial(node, protocol)

    def knows(self, *others: "LinkedNode") -> None:
        """Learn of other nodes."""
        for other in others:
            self.members[other.id.name] = other.record

    def cut(self) -> None:
        """Lose the way to all others."""
        self.reachable = False
        for link in tuple(self.bus._links.values()):
            if link.connection is not None:
                link.connection.abort("the way is cut")

    async def close_door(self) -> None:
        """Listen no more."""
        await maybeDeferred(self.port.stopListening)

    async def stop(self) -> None:
        """Close everything."""
        await self.close_door()
        await self.bus.stop()


async def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    while not true():
        await deferLater(reactor, 0.005, lambda: None)


async def turns(count: int = 5) -> None:
    """Let some turns of the reactor go by."""
    for _ in range(count):
        await deferLater(reactor, 0, lambda: None)


async def linked(*nodes: LinkedNode) -> None:
    """Wait until they have connections with each other."""
    await until(
        lambda: all(
            node.bus.linked(other.id) for node in nodes for other in nodes if other is not node
        )
    )


async def start(*nodes: LinkedNode) -> None:
    """Have nodes find each other."""
    for node in nodes:
        await node.listen()
    for node in nodes:
        node.knows(*nodes)
        node.bus.start()
    await linked(*nodes)
