"""The directories keep what every directory promises."""

from twisted.internet.task import Clock

from tests.redis_server import own_prefix, shared_redis
from tests.unit.cluster.directory_contract import (
    ROMEO,
    A,
    B,
    C,
    DirectoryCase,
    DirectoryContract,
)
from tests.unit.cluster.redis_case import RedisCase
from xmppd.cluster.directory import Directory, DirectoryAway, DirectoryIncomplete, ResourceTaken
from xmppd.cluster.memory_directory import MemoryDirectory, MemoryDirectoryState
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.node import Location, Node, NodeId
from xmppd.cluster.redis_directory import MAX_GONE_NODES, RedisDirectory
from xmppd.stanza import JID


class MemoryDirectoryTests(DirectoryContract, DirectoryCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.state = MemoryDirectoryState(self.clock.seconds)
        self.a, self.b, self.c = (MemoryDirectory(id, self.state) for id in (A, B, C))

    async def lose(self, node: NodeId) -> None:
        self.state.fenced.add(node)

    async def wait_s(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def lose_all(self) -> None:
        self.state.accounts.clear()


class Members(MemoryMembership):
    """One node's view, which counts how often it looks, and may be late.

    Attributes:
        looked: How often.
        late: Who is in, and was not seen yet.
        away: Whether Redis does not answer who is in.
    """

    def __init__(self, id: NodeId, all: dict[str, Node]) -> None:
        super().__init__(id, all)
        self.looked = 0
        self.complete = True
        self.late: set[NodeId] = set()
        self.away = False

    def is_in(self, node: NodeId) -> bool:
        return node not in self.late and super().is_in(node)

    async def refresh(self) -> bool:
        if not self.away:
            self.looked += 1
            self.late.clear()
        return not self.away


class RedisDirectoryCase(RedisCase, DirectoryCase):
    """Has three nodes with a directory in Redis."""

    urls: tuple[str, ...] = ()
    a: Directory
    b: Directory
    c: Directory

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.prefix = own_prefix()
        self.redis = await self.open(*(self.urls or (shared_redis().url,)))
        self.nodes: dict[str, Node] = {}
        self.members = {id: Members(id, self.nodes) for id in (A, B, C)}
        self.a, self.b, self.c = map(self.directory, (A, B, C))

    def directory(self, id: NodeId) -> RedisDirectory:
        """A node's way to the directory."""
        return RedisDirectory(self.redis, self.prefix, self.members[id])

    async def everywhere(self, *words: str) -> None:
        """Run a command at each server."""
        for shard in range(len(self.redis.servers)):
            await self.redis.execute(*words, shard=shard)

    async def lose(self, node: NodeId) -> None:
        self.nodes.pop(node.name)
        await self.everywhere("HSET", f"{self.prefix}:fenced", str(node), "by 1")

    async def keys(self, of: str) -> list[tuple[int, str]]:
        """All keys of a kind."""
        found = list[tuple[int, str]]()
        for shard in range(len(self.redis.servers)):
            keys = await self.redis.execute("KEYS", f"{self.prefix}:{of}:*", shard=shard)
            assert isinstance(keys, list)
            found += [(shard, key.decode()) for key in keys if isinstance(key, bytes)]
        return found

    async def wait_s(self, seconds: float) -> None:
        for shard, key in await self.keys("closed"):
            left = await self.redis.execute("TTL", key, shard=shard)
            assert isinstance(left, int)
            if 0 <= left <= seconds:
                await self.redis.execute("DEL", key, shard=shard)

    async def lose_all(self) -> None:
        for shard, key in await self.keys("u"):
            await self.redis.execute("DEL", key, shard=shard)


class RedisDirectoryTests(RedisDirectoryCase, DirectoryContract):
    """On one server."""


class ShardedDirectoryTests(RedisDirectoryCase, DirectoryContract):
    """On three servers."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.servers = [self.server() for _ in range(3)]
        self.urls = tuple(server.url for server in self.servers)
        await super().setUp()

    async def test_spread(self) -> None:
        """Each server has a part of the accounts, and nobody asks one twice."""
        names = [f"user{n}@montague.lit" for n in range(300)]
        for name in names:
            await self.a.enter(JID.parse(f"{name}/x"), conflict="kick", max_sessions=1)
        shards = [shard for shard, _ in await self.keys("u")]
        self.assertTrue(all(shards.count(shard) > 60 for shard in range(3)), shards)
        await self.everywhere("CONFIG", "RESETSTAT")
        self.assertEqual(len(await self.b.nodes_of(names)), 300)
        for shard in range(3):
            told = await self.redis.execute("INFO", "commandstats", shard=shard)
            assert isinstance(told, bytes)
            self.assertIn(b"cmdstat_evalsha:calls=1,", told)

    async def test_a_part_is_away(self) -> None:
        """If one server is away, accounts of the others are found, and all of them together are
        not.
        """
        names = [f"user{n}@montague.lit" for n in range(50)]
        for name in names:
            await self.a.enter(JID.parse(f"{name}/x"), conflict="kick", max_sessions=1)
        for server in self.servers[1:]:
            server.kill()
        await self.until(lambda: all(each.why for each in self.redis.servers[1:]))
        with self.assertRaises(DirectoryAway):
            await self.b.nodes_of(names)
        there = [name for name in names if not self.redis.shard_of(name)]
        self.assertEqual(set(await self.b.nodes_of(there)), set(there))


class InRedisTests(RedisDirectoryCase):
    """What only the one in Redis has to do."""

    async def enter(self, directory: Directory, jid: JID = ROMEO) -> Location:
        entered = await directory.enter(jid, conflict="kick", max_sessions=10)
        node = {self.a: A, self.b: B, self.c: C}[directory]
        return Location(node, entered.serial)

    async def test_work(self) -> None:
        """A login is two commands, and a logout one."""
        server = self.server()
        redis = await self.open(server.url)
        directory = RedisDirectory(redis, "x", self.members[A])
        for _ in range(2):  # the first time scripts are sent
            server.ask("CONFIG", "RESETSTAT")
            entered = await directory.enter(ROMEO, conflict="kick", max_sessions=10)
            await directory.nodes_of([f"{n}@montague.lit" for n in range(50)])
            await directory.leave(ROMEO, entered.serial)
        self.assertIn(b"cmdstat_evalsha:calls=3,", server.ask("INFO", "commandstats"))
        self.assertEqual(server.ask("DBSIZE"), 0)

    async def test_joined_just_now(self) -> None:
        """A session of a node that is not known here yet is there: who is in is looked up."""
        place = await self.enter(self.b)
        self.members[A].late.add(B)
        self.assertEqual(await self.a.nodes_of([ROMEO.bare]), {ROMEO.bare: (place,)})
        self.members[A].late.add(B)
        self.assertEqual(await self.a.sessions_of(ROMEO.bare), {"balcony": place})
        self.members[A].late.add(B)
        with self.assertRaises(ResourceTaken):
            await self.a.enter(ROMEO, conflict="refuse", max_sessions=10)
        self.assertEqual(self.members[A].looked, 3)

    async def test_not_known(self) -> None:
        """While it cannot be found out who is in, a session of a node that is not known here is
        neither there nor gone.
        """
        place = await self.enter(self.b)
        late = self.members[A]
        late.late.add(B)
        late.away = True
        await self.fails(self.a.sessions_of(ROMEO.bare), DirectoryAway)
        await self.fails(self.a.nodes_of([ROMEO.bare]), DirectoryAway)
        await self.fails(
            self.a.enter(JID.parse(f"{ROMEO.bare}/x"), conflict="kick", max_sessions=10),
            DirectoryAway,
        )
        late.away = False
        self.assertEqual((await self.a.sessions_of(ROMEO.bare))["balcony"], place)

    async def test_looked_up_once(self) -> None:
        """Of a generation that is gone that is found out once; of an earlier one than is in, and of
        our own, it is known.
        """
        names = [f"user{n}@montague.lit" for n in range(3)]
        for name in names:
            await self.enter(self.b, JID.parse(f"{name}/x"))
        await self.lose(B)
        for name in names:
            self.assertEqual(await self.a.nodes_of([name]), {})
        self.assertEqual(self.members[A].looked, 1)
        place = str(Location(NodeId("c", 0), 1))
        mine = str(Location(NodeId("a", 0), 1))
        key = f"{self.prefix}:u:{ROMEO.bare}"
        await self.redis.execute("HSET", key, "1", place, "2", mine)
        self.assertEqual(await self.a.sessions_of(ROMEO.bare), {})
        self.assertEqual(self.members[A].looked, 1)

    async def test_gone_nodes(self) -> None:
        """No more than a thousand generations are remembered to be gone."""
        key = f"{self.prefix}:u:{ROMEO.bare}"
        places = [word for n in range(MAX_GONE_NODES + 1) for word in (str(n), f"x.{n}.1")]
        await self.redis.execute("HSET", key, *places)
        directory = self.directory(A)
        self.assertEqual(await directory.sessions_of(ROMEO.bare), {})
        self.assertEqual(len(directory._gone), MAX_GONE_NODES)

    async def test_not_whole(self) -> None:
        """While nodes come back to a directory that has lost all, who is found is there, and who is
        not may be; nobody is replaced because their node is not back.
        """
        place = await self.enter(self.b)
        for members in self.members.values():
            members.complete = False
        self.assertEqual(await self.a.nodes_of([ROMEO.bare]), {ROMEO.bare: (place,)})
        with self.assertRaises(DirectoryIncomplete) as raised:
            await self.a.nodes_of([ROMEO.bare, "juliet@capulet.lit"])
        self.assertEqual(raised.exception.found, {ROMEO.bare: (place,)})
        self.nodes.pop("b")
        with self.assertRaises(DirectoryIncomplete):
            await self.a.nodes_of([ROMEO.bare])
        with self.assertRaises(ResourceTaken):
            await self.a.enter(ROMEO, conflict="refuse", max_sessions=10)

    async def test_nonsense(self) -> None:
        """A place that no node has written is nobody's."""
        key = f"{self.prefix}:u:{ROMEO.bare}"
        await self.redis.execute("HSET", key, "balcony", "nonsense", "tomb", "a.b.c")
        self.assertEqual(await self.a.sessions_of(ROMEO.bare), {})
        self.assertEqual(await self.a.nodes_of([ROMEO.bare]), {})
        entered = await self.a.enter(ROMEO, conflict="refuse", max_sessions=1)
        self.assertEqual(entered.others, {})

    async def test_clock_of_redis_is_set_back(self) -> None:
        """Serials that a node gets rise, also if the clock of Redis does not, or a session has one
        of the future.
        """
        future = Location(B, 9_000_000_000_000_000)
        await self.redis.execute("HSET", f"{self.prefix}:u:{ROMEO.bare}", "tomb", str(future))
        place = await self.enter(self.a)
        self.assertEqual(place.serial, future.serial + 1)
        other = await self.enter(self.a, JID.parse("juliet@capulet.lit/x"))
        self.assertEqual(other.serial, place.serial + 1)

    async def test_fenced(self) -> None:
        """A node that a script refuses because it is fenced looks at its lease at once."""
        await self.redis.execute("HSET", f"{self.prefix}:fenced", str(A), "b.1 1")
        with self.assertRaises(DirectoryAway):
            await self.enter(self.a)
        self.assertEqual(self.members[A].looked, 1)

    async def test_away(self) -> None:
        """While Redis is away, or lets nobody in, every question has the same answer."""
        server = self.server(users=("alice on >secret ~x:* &x:* +@all -exists",))
        redis = await self.open(server.url)
        limited = await self.open(server.url.replace("unix://", "unix://alice:secret@"))
        with self.assertRaisesRegex(DirectoryAway, "does not let user alice"):
            directory = RedisDirectory(limited, "x", self.members[A])
            await directory.enter(ROMEO, conflict="kick", max_sessions=1)
        directory = RedisDirectory(redis, "x", self.members[A])
        server.kill()
        await self.until(lambda: redis.away)
        place = Location(B, 1)

        async def nothing(_: object) -> None:
            raise AssertionError

        for work in (
            directory.enter(ROMEO, conflict="kick", max_sessions=1),
            directory.leave(ROMEO, 1),
            directory.move(ROMEO, place),
            directory.reassert(ROMEO, 1, rebuild=True),
            directory.sessions_of(ROMEO.bare),
            directory.nodes_of([ROMEO.bare]),
            directory.close_account(ROMEO.bare),
            directory.sweep(B, nothing),
        ):
            with self.assertRaises(DirectoryAway):
                await work

    async def test_swept_by_pages(self) -> None:
        """A sweep looks at 500 keys in a row, and at nobody else's."""
        names = [f"user{n}@montague.lit" for n in range(1_200)]
        for name in names:
            await self.enter(self.b, JID.parse(f"{name}/x"))
        others = RedisDirectory(self.redis, f"{self.prefix}-other", self.members[B])
        await others.enter(ROMEO, conflict="kick", max_sessions=1)
        pages = list[int]()

        async def note(found: object) -> None:
            assert isinstance(found, dict)
            pages.append(len(found))

        await self.a.sweep(B, note)
        self.assertEqual(sum(pages), 1_200)
        self.assertTrue(len(pages) >= 2 and max(pages) < 1_000, pages)
        self.assertEqual(await self.keys("u"), [])
        self.assertEqual(len(await others.sessions_of(ROMEO.bare)), 1)
