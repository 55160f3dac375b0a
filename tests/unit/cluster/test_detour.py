"""Nodes whose link is dead, though both are in: what they say goes by way of Redis."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from typing_extensions import override

from tests.redis_server import RedisProcess, own_prefix
from tests.unit.cluster import bus_contract
from tests.unit.cluster.conversations import message
from tests.unit.cluster.links import LinkedNode, linked, start, until
from xmppd.cluster import redis_streams
from xmppd.cluster.link_bus import LinkBus
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_streams import RedisStreams
from xmppd.config.config import ClusterSettings

SOON_S = 0.05
LEASE_S = 0.2


def close(redis: Redis) -> "Deferred[None]":
    """Close a door to Redis."""
    return Deferred.fromCoroutine(redis.close())


class DetourTests(bus_contract.BusContract):
    """The contract while there is no link at all."""

    a: LinkBus
    b: LinkBus
    timeout = 40

    @override
    async def start(self) -> None:
        for name in ("AGAIN_AT_MOST_S", "LAG_S", "LOOK_S", "READ_S"):
            self.patch(redis_streams, name, 0.2)
        self.server = RedisProcess().start()
        self.addCleanup(self.server.stop)
        prefix = own_prefix()
        self.nodes = [LinkedNode(name, lease_s=LEASE_S) for name in ("a", "b")]
        for node in self.nodes:
            redis = Redis(ClusterSettings(redis=(self.server.url,)), reactor)
            await redis.open()
            self.addCleanup(close, redis)
            self.addCleanup(node.stop)
            node.bus.detour = RedisStreams(
                redis, prefix, node.membership, node.bus.conversation, IReactorTime(reactor)
            )
        self.a, self.b = (node.bus for node in self.nodes)
        await start(*self.nodes)
        self.cut_links()
        a, b = self.nodes
        await until(lambda: self.detoured(a, b) and self.detoured(b, a))

    def cut_links(self) -> None:
        for node in self.nodes:
            node.cut()

    def detoured(self, node: LinkedNode, other: LinkedNode) -> bool:
        """Whether a node takes the detour to the other one."""
        return node.bus.link_states()[other.id].detoured

    @override
    async def cut(self) -> None:
        self.server.hang()

    @override
    async def mend(self) -> None:
        self.server.go_on()

    @override
    async def lose_b(self) -> None:
        del self.nodes[0].members["b"]

    @override
    async def pause_b(self) -> None:
        self.nodes[1].membership.paused = True

    @override
    async def let_b_speak(self) -> None:
        self.nodes[1].membership.paused = False

    @override
    async def until_settled(self) -> None:
        """Wait until nothing has come for a while."""
        quiet, before = 0, -1
        while quiet < 12:
            got = len(self.at_a.got) + len(self.at_b.got)
            quiet = quiet + 1 if got == before else 0
            before = got
            await deferLater(reactor, SOON_S, lambda: None)

    async def test_back(self) -> None:
        """When the link is there again it is used, and Redis may go; nothing comes twice."""
        self.a.tell(self.b_id, message(1))
        await until(lambda: self.at_b.names == ["1"])
        self.a.tell(self.b_id, message(2))
        for node in self.nodes:
            node.reachable = True
        await linked(*self.nodes)
        self.a.tell(self.b_id, message(3))
        await until(lambda: len(self.at_b.names) == 3)
        self.server.kill()
        self.a.tell(self.b_id, message(4))
        self.b.tell(self.a_id, message("back"))
        await until(lambda: len(self.at_b.names) == 4 and self.at_a.names)
        self.assertEqual((self.at_b.names, self.at_a.names), (["1", "2", "3", "4"], ["back"]))

    async def test_and_again(self) -> None:
        """A link that breaks again and again loses nothing, and doubles nothing."""
        for id in range(6):
            self.a.tell(self.b_id, message(id))
            for node in self.nodes:
                node.reachable = id % 2 == 0
            if id % 2:
                self.cut_links()
            await deferLater(reactor, 2 * LEASE_S, lambda: None)
        await until(lambda: len(self.at_b.names) == 6)
        self.assertEqual(self.at_b.names, [str(id) for id in range(6)])
