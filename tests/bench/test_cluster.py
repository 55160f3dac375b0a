"""The bench of several nodes: each scenario runs, on services of its own; nothing is judged."""

import io
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from msgspec.msgpack import Encoder
from twisted.trial.unittest import SynchronousTestCase

from bench.cluster import SCENARIOS, Bench, Row, rows
from bench.crossing import bytes_each, commands
from bench.entry_sizes import DOMAIN, entries, sizes
from bench.load import ring_friendships
from bench.nodes import Beside, Service
from bench.postgres import PostgreSQL
from tests.redis_server import RedisProcess
from xmppd.cluster.entry_decoder import EntryDecoder
from xmppd.cluster.frame import array

TINY = (
    *("--duration", "0.2", "--warmup", "0.1", "--pairs", "3", "--messages", "3"),
    *("-n", "10", "--contacts", "4", "--concurrency", "10"),
)
SIZES = (1, 2)


class FriendsTests(SynchronousTestCase):
    def test_next_door(self) -> None:
        """All contacts of everybody are at the node before theirs or at the next one."""
        users, contacts, nodes = 45, 10, 5
        degrees = dict.fromkeys(range(users), 0)
        for one, other in ring_friendships(users, contacts, nodes):
            self.assertIn((one - other) % nodes, (1, nodes - 1))
            degrees[one] += 1
            degrees[other] += 1
        self.assertEqual(set(degrees.values()), {contacts})


class RowTests(SynchronousTestCase):
    def test_verdict(self) -> None:
        """What is told for information is not judged."""
        self.assertIn("**missed**", Row("a", [], "2×", "≤ 1×", met=False).cells)
        self.assertIn("met", Row("a", [], "1×", "≤ 1×").cells)
        self.assertIn("–", Row("a", [], "1×").cells)


class EntryTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        """Whatever is measured is an entry that the other node takes, and its size that of it."""
        decoder = EntryDecoder((DOMAIN,))
        for what, entry in entries().items():
            data = Encoder().encode(entry)
            self.assertEqual(decoder.decode(array((data,), 1)), [entry], what)
            self.assertEqual(sizes()[what], len(data))


class ScenarioTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.redis, self.postgres = RedisProcess(), PostgreSQL()
        self.addCleanup(self.redis.stop)
        self.addCleanup(self.postgres.stop)
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.beside = Beside(self.postgres.start(), self.redis.start())

    def bench(self, links: str) -> Bench:
        """One with next to nothing to do."""
        return Bench(self.directory, self.beside, links, 1, None, io.StringIO(), TINY, SIZES)

    def test_across(self) -> None:
        """Each scenario of bench.load runs across two nodes; a login, a presence and a message take
        two, no and no commands in Redis, and what goes by links is counted.
        """
        bench = self.bench("direct")
        service = Service(self.directory, "across", self.beside, 2, "direct")
        self.addCleanup(service.remove)
        service.start()
        for scenario in SCENARIOS:
            bench.load(scenario.load, service, "--setup")
            result = bench.load(scenario.load, service)
            self.assertIsNotNone(result[scenario.figure], scenario.name)
        self.assertEqual(commands(service, self.redis).rounded, "2 / 0 / 0")
        self.assertGreater(bytes_each(service, 4), 10)

    def test_rows(self) -> None:
        """One and several are measured in turn; what goes by Redis is work for Redis."""
        wanted = ("chat-w20", "shared-port", "ways-chat-w20")
        found = list(rows(self.bench("redis"), lambda name: name in wanted))
        self.assertEqual(
            [row.name.split(",")[0] for row in found],
            ["chat-w20", "one and two nodes at one port", "chat-w20 by Redis beside links"],
        )
        self.assertNotEqual(found[0].figures[2], "0 µs")
        self.assertIn("≤ 5×", found[0].cells)
