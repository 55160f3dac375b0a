"""The door to a Redis whose place Sentinels know."""

from tests.redis_server import MASTER, RedisProcess, Sentinels
from tests.unit.cluster.redis_case import RedisCase


class SentinelTests(RedisCase):
    def setUp(self) -> None:
        self.master = RedisProcess(tcp=True).start()
        self.addCleanup(self.master.stop)
        self.sentinels = Sentinels(self.master)
        self.addCleanup(self.sentinels.stop)
        self.sentinels.start()

    async def test_failover(self) -> None:
        """When the master dies the door leads to the replica that was made the master, and says
        that this is another one, which may not know all that was written; one Sentinel is enough
        to find it.
        """
        redis = await self.open(f"redis://{MASTER}", sentinels=self.sentinels.urls)
        await redis.execute("SET", "a", "b")
        self.assertEqual(self.master.ask("GET", "a"), b"b")
        self.assertEqual(
            await self.refusal(self.open("redis://Other", sentinels=self.sentinels.urls)),
            "no Sentinel knows where Redis Other is: the one at"
            f" {self.sentinels.urls[0]} does not know it",
        )
        before = redis.run_ids
        self.master.kill()
        await self.until(lambda: redis.away)
        self.sentinels.wait_for_failover()
        for number in (0, 1):
            self.sentinels.kill(number)
        await self.until(lambda: not redis.away)
        self.assertNotEqual(redis.run_ids, before)
        await redis.execute("SET", "a", "c")
        self.assertEqual(self.sentinels.replica.ask("GET", "a"), b"c")
