"""Claims keep what they promise, with a board in memory, in Redis, and alone."""

from tests.redis_server import own_prefix, shared_redis
from tests.unit.cluster.claims_contract import (
    KIND,
    ClaimsCase,
    ClaimsContract,
    Shelf,
    tell_lost,
)
from tests.unit.cluster.redis_case import RedisCase
from xmppd.cluster.claims import MAX_KNOWN
from xmppd.cluster.cluster import alone
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.memory_claim_board import MemoryClaimBoard, MemoryClaims
from xmppd.cluster.node import ALONE, Node, NodeId
from xmppd.cluster.redis_claim_board import RedisClaimBoard
from xmppd.cluster.redis_lease_board import RedisLeaseBoard


class MemoryClaimsTests(ClaimsCase, ClaimsContract):
    def setUp(self) -> None:
        self.meet()
        self.state = MemoryClaims()
        for id, membership in self.members.items():
            self.begin(id, MemoryClaimBoard(self.state, membership))

    async def lose(self, node: NodeId) -> None:
        tell_lost(self, node)

    async def lose_all(self) -> None:
        self.state.empty()

    async def test_known(self) -> None:
        """Of 10,000 things it is known who has them elsewhere, and no more."""
        claims = self.claims[NodeId("a", 1)]
        for n in range(MAX_KNOWN + 1):
            claims._noted(KIND, str(n), NodeId("b", 1))
        self.assertEqual(len(claims._known), MAX_KNOWN)

    async def test_taken_out(self) -> None:
        """When a plugin is taken out, what is here of its kind is here no more."""
        shelf, claims = Shelf(), alone().claims
        take_out = claims.put(shelf, "plugin")
        await claims.owner(KIND, "hall")  # type: ignore[misc]  # it is asked for the first time
        await take_out()  # type: ignore[misc]  # something is here
        self.assertEqual(shelf.told[-1], ("lay down", "hall"))
        self.assertIsNone(claims.mine(KIND, "hall"))
        with self.assertRaises(DirectoryAway):
            await claims.owner(KIND, "tower")  # type: ignore[misc]  # nobody takes it up


class RedisClaimsTests(RedisCase, ClaimsCase, ClaimsContract):
    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.prefix = own_prefix()
        self.redis = await self.open(shared_redis().url)
        self.board = RedisLeaseBoard(self.redis, self.prefix)
        self.meet()
        for id in self.members:
            await self.board.join(Node(id=NodeId(id.name, 0), instance=id.name), 60)
            self.begin(id, RedisClaimBoard(self.redis, self.prefix))

    async def lose(self, node: NodeId) -> None:
        await self.redis.execute("ZADD", f"{self.prefix}:leases", 1, str(node))
        (another, *_) = (id for id in self.members if id != node)
        era = (await self.board.renew(another, 60)).era
        self.assertTrue(await self.board.fence(node, another, era))
        tell_lost(self, node)

    async def lose_all(self) -> None:
        keys = await self.redis.execute("KEYS", f"{self.prefix}:own:*")
        assert isinstance(keys, list)
        names = [key for key in keys if isinstance(key, bytes)]
        await self.redis.execute("DEL", f"{self.prefix}:token:{KIND}", *names)

    async def test_no_lease(self) -> None:
        """Who has no lease gets nothing."""
        for id in self.members:
            await self.redis.execute("ZADD", f"{self.prefix}:leases", 1, str(id))
        with self.assertRaises(DirectoryAway):
            await self.owner(NodeId("a", 1), "hall")

    async def test_away(self) -> None:
        """While Redis is away owners stay, and things that nobody has wait."""
        a = NodeId("a", 1)
        names = [f"thing{n}" for n in range(20)]
        owners = {name: await self.owner(a, name) for name in names}
        await self.redis.close()
        for name in names:
            self.assertEqual(self.claims[a].owner(KIND, name), owners[name])
        with self.assertRaises(DirectoryAway):
            await self.owner(a, "new")


class AloneTests(ClaimsCase):
    """A single node."""

    async def test_all_is_here(self) -> None:
        """It has everything, and a part does not know how many nodes there are."""
        shelf, claims = Shelf(), alone().claims
        claims.put(shelf, "xmppd")
        self.assertEqual(await claims.owner(KIND, "hall"), ALONE)  # type: ignore[misc]
        self.assertEqual(claims.owner(KIND, "hall"), ALONE)
        self.assertEqual(claims.mine(KIND, "hall"), shelf.here["hall"])
        await claims.give_up(KIND, "hall")
        self.assertEqual(shelf.here, {})
        self.assertEqual(await claims.owner(KIND, "hall"), ALONE)  # type: ignore[misc]
        await claims.give_up_all()
        self.assertEqual(list(shelf.here), ["hall"])
