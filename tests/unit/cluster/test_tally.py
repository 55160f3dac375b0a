"""Counts that all nodes share."""

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tests.unit.cluster.redis_case import RedisCase
from xmppd.cluster.memory_tally import MemoryTally
from xmppd.cluster.redis_tally import RedisTally
from xmppd.cluster.tally import Tally

ODD = ("a b", "romeo@montague.lit/é\r\n", "2001:db8::/64", "")


class TallyContract:
    """What holds wherever the counts are; ``tallies`` are those of two nodes."""

    tallies: tuple[Tally, Tally]

    async def test_together(self) -> None:
        """What is counted at one node counts at the other."""
        here, there = self.tallies
        for key in ODD:
            found = [await here.add(key, 60), await there.add(key, 60), await here.add(key, 60)]
            assert found == [1, 2, 3], found

    async def test_forgotten(self) -> None:
        """What is forgotten at one node begins anew."""
        here, there = self.tallies
        await here.add("a", 60)
        await there.forget("a")
        assert await here.add("a", 60) == 1


class MemoryTallyTests(TallyContract, TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        tally = MemoryTally(self.clock.seconds)
        self.tallies = tally, tally

    async def test_ends(self) -> None:
        """A count to which nothing was added for its time begins anew."""
        (tally, _) = self.tallies
        await tally.add("a", 60)
        self.clock.advance(59)
        self.assertEqual(await tally.add("a", 60), 2)
        self.clock.advance(60)
        self.assertEqual(await tally.add("a", 60), 1)


class RedisTallyTests(TallyContract, RedisCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.redis = self.server()
        self.tallies = (
            RedisTally(await self.open(self.redis.url), "x"),
            RedisTally(await self.open(self.redis.url), "x"),
        )

    async def test_ends(self) -> None:
        """Redis forgets a count by itself."""
        (here, _) = self.tallies
        door = await self.open(self.redis.url)
        await here.add("a", 60)
        left_ms = await door.execute("PTTL", "x:fail:a")
        assert isinstance(left_ms, int)
        self.assertTrue(50_000 < left_ms <= 60_000, left_ms)

    async def test_away(self) -> None:
        """While Redis is away nobody knows a count, and nothing fails."""
        (here, _) = self.tallies
        self.redis.stop()
        self.assertEqual(await here.add("a", 60), 0)
        await here.forget("a")
