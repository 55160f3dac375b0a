"""The board in Redis keeps what every board promises."""

from tests.redis_server import RedisProcess, own_prefix, shared_redis
from tests.unit.cluster.lease_board_contract import LEASE_S, BoardCase, LeaseBoardContract, node
from tests.unit.cluster.redis_case import RedisCase
from xmppd.cluster.lease_board import BoardAway, LeaseBoard
from xmppd.cluster.node import NodeId
from xmppd.cluster.redis_lease_board import RedisLeaseBoard


class RedisBoardCase(RedisCase, BoardCase):
    """Has a board of its own."""

    board: LeaseBoard

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.prefix = own_prefix()
        self.redis = await self.open(shared_redis().url)
        self.board = self.redis_board = RedisLeaseBoard(self.redis, self.prefix)


class RedisLeaseBoardTests(LeaseBoardContract, RedisBoardCase):
    async def let_lease_end(self, name: str) -> None:
        key = f"{self.prefix}:leases"
        for id in shared_redis().ask("ZRANGE", key, "0", "-1"):
            if NodeId.parse(id.decode()).name == name:
                shared_redis().ask("ZADD", key, "1", id)

    async def lose_all(self) -> None:
        for key in shared_redis().ask("KEYS", f"{self.prefix}:*"):
            shared_redis().ask("DEL", key)


class LeaseTests(RedisBoardCase):
    """What only Redis has."""

    async def test_lease_ends(self) -> None:
        """A lease lasts for as long as it was given, by Redis' clock."""
        a, _ = await self.board.join(node("a"), LEASE_S)
        await self.board.join(node("b"), 0.001)
        b = NodeId("b", 1)
        era = (await self.board.renew(a, LEASE_S)).era
        while not await self.board.fence(b, a, era):
            pass
        self.assertEqual((await self.board.renew(a, LEASE_S)).late, set())

    async def test_any_instance(self) -> None:
        """What a node says of itself is nothing to Redis, whatever is in it."""
        await self.board.join(node("a.b.1", "1 2 \n x", since=1.5), LEASE_S)
        (found,) = (await self.board.read(())).nodes
        self.assertEqual(found, node("a.b.1", "1 2 \n x", generation=1, since=1.5))
        self.assertEqual(
            (await self.board.join(node("a.b.1", "1 2 \n x"), LEASE_S))[0].generation, 2
        )

    async def test_forgotten(self) -> None:
        """That a generation is gone is remembered for a day."""
        a, _ = await self.board.join(node("a"), LEASE_S)
        b, _ = await self.board.join(node("b"), LEASE_S)
        await self.board.leave(a)
        await self.board.leave(b)
        shared_redis().ask("HSET", f"{self.prefix}:fenced", str(b), "left 1000")
        await self.board.join(node("c"), LEASE_S)
        self.assertEqual((await self.board.read((a, b))).left, {a})

    async def test_published(self) -> None:
        """Whoever listens hears at once that something has changed, but not each renewal."""
        heard = list[bytes]()
        a, _ = await self.board.join(node("a"), LEASE_S)
        subscription = self.redis.subscribe(self.redis_board.channel, heard.append)
        await self.until(lambda: len(heard) == 1)
        await self.board.renew(a, LEASE_S)
        await self.board.join(node("b"), LEASE_S)
        await self.until(lambda: len(heard) == 2)
        await self.board.describe(node("a", generation=1, draining=True))
        await self.until(lambda: len(heard) == 3)
        await subscription.stop()

    async def test_another_redis(self) -> None:
        """In another Redis, or in one that was started again, it is another era, and nobody is
        fenced for what was seen in the one before.
        """
        server = self.server()
        redis = await self.open(server.url)
        board = RedisLeaseBoard(redis, "x")
        a, before = await board.join(node("a"), LEASE_S)
        b, _ = await board.join(node("b"), 0.001)
        run_ids = redis.run_ids
        server.ask("SAVE")
        server.kill()
        server.start()
        await self.until(lambda: redis.run_ids != run_ids)
        after = await board.renew(a, LEASE_S)
        self.assertNotEqual(after.era, before.era)
        self.assertFalse(await board.fence(b, a, before.era))
        self.assertTrue(await board.fence(b, a, after.era))

    async def test_lost_write(self) -> None:
        """Whose last join was lost by a failover is not taken for fenced, and comes back."""
        a, _ = await self.board.join(node("a"), LEASE_S)
        record = shared_redis().ask("HGET", f"{self.prefix}:nodes", "a")
        later, _ = await self.board.join(node("a"), LEASE_S)
        shared_redis().ask("HSET", f"{self.prefix}:nodes", "a", record)
        shared_redis().ask("HDEL", f"{self.prefix}:fenced", str(a))
        again = node("a", generation=later.generation)
        self.assertEqual((await self.board.join(again, LEASE_S, again=True))[0], later)
        self.assertEqual((await self.board.read((a,))).fenced, {a})

    async def test_several(self) -> None:
        """A fenced node is refused by all servers."""
        servers: list[RedisProcess] = [self.server(), self.server()]
        board = RedisLeaseBoard(await self.open(*(each.url for each in servers)), "x")
        a, renewal = await board.join(node("a"), LEASE_S)
        b, _ = await board.join(node("b"), 0.001)
        while not await board.fence(b, a, renewal.era):
            pass
        self.assertEqual(servers[1].ask("HGET", "x:fenced", str(b)), str(a).encode())

    async def test_away(self) -> None:
        """A Redis that is away is an error of its own kind."""
        server = self.server()
        redis = await self.open(server.url)
        server.kill()
        await self.until(lambda: redis.away)
        await self.assertFailure_(RedisLeaseBoard(redis, "x").renew(NodeId("a", 1), 5), BoardAway)
