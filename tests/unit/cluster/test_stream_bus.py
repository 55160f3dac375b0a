"""The bus by streams in Redis keeps what a bus promises, whatever becomes of Redis."""

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from tests.redis_server import RedisProcess, own_prefix
from tests.unit.cluster import bus_contract
from tests.unit.cluster.conversations import DOMAIN, message
from xmppd.cluster import redis_streams
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis import Redis
from xmppd.cluster.redis_connection import RedisConnection
from xmppd.cluster.redis_errors import RedisAway
from xmppd.cluster.redis_streams import StreamReader
from xmppd.cluster.stream_bus import StreamBus
from xmppd.config.config import ClusterSettings

SOON_S = 0.05


class StreamBusTests(bus_contract.MembershipContract):
    a: StreamBus
    b: StreamBus
    timeout = 40

    @override
    async def start(self) -> None:
        for name in ("AGAIN_AT_MOST_S", "LAG_S", "LOOK_S", "READ_S"):
            self.patch(redis_streams, name, 0.2)
        self.server = RedisProcess().start()
        self.addCleanup(self.server.stop)
        self.members = {}
        self.prefix = own_prefix()
        self.a, self.b = await self.bus("a"), await self.bus("b")

    async def bus(self, name: str) -> StreamBus:
        """The bus at a node, with a door to Redis of its own."""
        redis = Redis(ClusterSettings(redis=(self.server.url,)), reactor)
        await redis.open()
        self.addCleanup(lambda: Deferred.fromCoroutine(redis.close()))
        membership = bus_contract.PausableMembership(NodeId(name, 1), self.members)
        clock = IReactorTime(reactor)
        bus = StreamBus(redis, self.prefix, membership, clock, BusSettings((DOMAIN,)))
        bus.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(bus.stop()))
        while not await redis.execute("EXISTS", bus.streams.key(membership.id)):
            await deferLater(reactor, 0.01, lambda: None)
        return bus

    @override
    async def cut(self) -> None:
        self.server.hang()

    @override
    async def mend(self) -> None:
        self.server.go_on()
        for bus in (self.a, self.b):
            while bus.streams.redis.away:
                await deferLater(reactor, SOON_S, lambda: None)

    @override
    async def until_settled(self) -> None:
        """Wait until nothing has come for a while."""
        quiet = 0
        before = -1
        while quiet < 12:
            got = len(self.at_a.got) + len(self.at_b.got)
            quiet = quiet + 1 if got == before else 0
            before = got
            await deferLater(reactor, SOON_S, lambda: None)

    async def until(self, names: list[str]) -> None:
        """Wait until these have come to the other node."""
        for _ in range(400):
            if self.at_b.names == names:
                return
            await deferLater(reactor, SOON_S, lambda: None)
        self.assertEqual(self.at_b.names, names)

    async def test_killed(self) -> None:
        """What is said while Redis is dead arrives when another one, that knows nothing, is
        there.
        """
        self.a.tell(self.b_id, message(1))
        await self.until(["1"])
        self.server.kill()
        self.a.tell(self.b_id, message(2))
        await deferLater(reactor, SOON_S, lambda: None)
        self.server.restart_empty()
        self.a.tell(self.b_id, message(3))
        await self.until(["1", "2", "3"])

    async def test_lost_frames(self) -> None:
        """Frames that Redis has taken and lost, as at a failover, are added again."""
        self.a.tell(self.b_id, message(1))
        await self.until(["1"])
        await self.b.streams._reader.stop()
        self.a.tell(self.b_id, message(2))
        while await self.a.streams.redis.execute("XLEN", self.b.streams.key(self.b_id)) == 0:
            await deferLater(reactor, 0.01, lambda: None)
        await self.a.streams.redis.execute("DEL", self.b.streams.key(self.b_id))
        self.b.streams._reader.start()
        self.a.tell(self.b_id, message(3))
        await self.until(["1", "2", "3"])

    async def test_trimmed(self) -> None:
        """What was read does not stay in Redis, and nothing of a node that has left."""
        for number in range(200):
            self.a.tell(self.b_id, message(number))
            if number % 10 == 0:
                await deferLater(reactor, 0, lambda: None)
        await self.until([str(number) for number in range(200)])
        key = self.b.streams.key(self.b_id)
        for _ in range(100):
            if await self.a.streams.redis.execute("XLEN", key) == 0:
                break
            await deferLater(reactor, SOON_S, lambda: None)
        self.assertEqual(await self.a.streams.redis.execute("XLEN", key), 0)
        await self.b.stop()
        self.assertEqual(await self.a.streams.redis.execute("EXISTS", key), 0)

    async def test_what_others_write(self) -> None:
        """What somebody else has written to the stream costs nothing but itself."""
        execute, key = self.a.streams.redis.execute, self.b.streams.key(self.b_id)
        for fields in (("x", "y"), ("", "a.1", "", "?"), ("", b"\xff", "", ""), ("",) * 6):
            await execute("XADD", key, "*", *fields)
        await execute("XADD", key, "*", "", "nobody.7", "", "?")
        self.a.tell(self.b_id, message(1))
        await self.until(["1"])

    async def test_to_nobody(self) -> None:
        """To a node that was lost nothing is added, so nothing of it stays in Redis."""
        await self.b.stop()
        self.a.tell(self.b_id, message(1))
        await self.until_settled()
        self.assertEqual(
            await self.a.streams.redis.execute("EXISTS", self.a.streams.key(self.b_id)), 0
        )


class StreamReaderTests(SynchronousTestCase):
    def test_stopped_while_redis_is_away(self) -> None:
        """A reader that is told meanwhile that there is no Redis ends all the same."""
        streams = SilentStreams()
        reader = StreamReader(streams, "x:to:a.1")  # type: ignore[arg-type]  # what it needs of them
        reader.start()
        stopping = Deferred.fromCoroutine(reader.stop())
        streams.clock.advance(1.0)
        self.successResultOf(stopping)


class SilentStreams:
    """Streams in a Redis with which connections are given up, whoever asks for one."""

    def __init__(self) -> None:
        self.redis = self
        self.clock = Clock()

    async def dedicated(self) -> RedisConnection:
        """None."""
        try:
            await Deferred[None]()
        except CancelledError:
            raise RedisAway("nobody answers") from None
        raise AssertionError
