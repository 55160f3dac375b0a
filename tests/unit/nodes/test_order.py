"""Messages stay in order when their recipient goes from node to node."""

import re
from functools import partial
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from tests.unit.roster.test_versions import SlowDatabase
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.node import Location, NodeId
from xmppd.routing.routing_table import SETTLE_S
from xmppd.routing.ways import MAX_NODES, MAX_WAYS, Ways
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

CHAT = "<message to='{}' type='chat'><body>{}</body></message>"


class OrderTests(NodesTestCase):
    """Romeo is at a; what a says to b is under way for a while."""

    def setUp(self) -> None:
        super().setUp()
        self.say("0")
        self.assertEqual(self.bodies(self.juliet), ["0"])
        bus = self.a.server.cluster.bus
        assert isinstance(bus, MemoryBus)
        self.bus = bus
        self.bus.cut.add(self.b.id)
        self.say("1")

    def say(self, text: str) -> None:
        self.romeo.send(f"<message to='{JULIET}' type='chat'><body>{text}</body></message>")

    def move(self, name: str) -> Client:
        """Juliet leaves b and logs in at another node, and a hears of it."""
        self.juliet.abort()
        (juliet,) = self.nodes[name].connect("juliet")
        juliet.received()
        if name != "a":
            there = Location(self.nodes[name].id, 2)
            self.a.server.routing_table.hints.note(JULIET, (there,))
        return juliet

    def test_to_another(self) -> None:
        """She has gone to c: what is under way by b comes first."""
        juliet = self.move("c")
        self.say("2")
        self.assertEqual(self.bodies(juliet), [])
        self.bus.mend(self.b.id)
        self.say("3")
        self.assertEqual(self.bodies(juliet), ["1", "2", "3"])

    def test_to_the_sender(self) -> None:
        """She has come to a."""
        juliet = self.move("a")
        self.say("2")
        self.assertEqual(self.bodies(juliet), [])
        self.bus.mend(self.b.id)
        self.say("3")
        self.assertEqual(self.bodies(juliet), ["1", "2", "3"])
        self.assertEqual(dict(self.a.server.routing_table.ways.taken), {})

    def test_full(self) -> None:
        """So it is for a full JID."""
        juliet = self.move("a")
        self.romeo.send(f"<message to='{JULIET}/1'><body>2</body></message>")
        self.bus.mend(self.b.id)
        self.assertEqual(self.bodies(juliet), ["1", "2"])

    def test_nowhere(self) -> None:
        """She is nowhere by then."""
        self.juliet.abort()
        self.a.server.routing_table.hints.forget(JULIET)
        self.say("2")
        self.bus.mend(self.b.id)
        self.romeo.raw()
        stored = done(self.a.store.offline.offline_messages(JULIET))
        self.assertEqual(len(stored), 2)
        self.assertIn(b"<body>1</body>", stored[0].stanza)

    def test_lost(self) -> None:
        """B is lost: what was under way to it comes first as well."""
        juliet = self.move("c")
        self.say("2")
        self.nodes.lose("b")
        self.nodes.clock.advance(0)
        self.say("3")
        self.assertEqual(self.bodies(juliet), ["1", "2", "3"])

    def test_late(self) -> None:
        """What does not come in time is not waited for."""
        juliet = self.move("c")
        self.say("2")
        self.nodes.clock.advance(SETTLE_S)
        self.nodes.clock.advance(0)
        self.assertEqual(self.bodies(juliet), ["2"])
        self.bus.mend(self.b.id)
        self.assertEqual(self.bodies(juliet), ["1"])


class OneResourceOrderTests(NodesTestCase):
    """Juliet has a client at a, and another one at b that what is for it is under way to."""

    def setUp(self) -> None:
        super().setUp()
        self.a.bind("juliet", "phone").send("<presence/>")
        self.say("0")
        self.assertEqual(self.bodies(self.juliet), ["0"])
        bus = self.a.server.cluster.bus
        assert isinstance(bus, MemoryBus)
        self.bus = bus
        self.bus.cut.add(self.b.id)
        self.say("1")

    def say(self, text: str) -> None:
        """Romeo writes to this client alone."""
        self.romeo.send(f"<message to='{JULIET}/1' type='chat'><body>{text}</body></message>")

    def test_moves(self) -> None:
        """It logs in at c under the same name: what is for it comes in order."""
        (juliet,) = self.c.connect("juliet")
        self.say("2")
        self.assertEqual(self.bodies(juliet), [])
        self.bus.mend(self.b.id)
        self.say("3")
        self.assertEqual(self.bodies(juliet), ["1", "2", "3"])

    def test_comes_here(self) -> None:
        """It has lost its connection, and logs in at a."""
        self.juliet.abort()
        self.nodes.settle()
        (juliet,) = self.a.connect("juliet")
        self.say("2")
        self.assertEqual(self.bodies(juliet), [])
        self.bus.mend(self.b.id)
        self.say("3")
        self.assertEqual(self.bodies(juliet), ["1", "2", "3"])

    def test_lost(self) -> None:
        """Its node was killed before it came to c, and is declared dead afterwards."""
        self.nodes.kill("b")
        (juliet,) = self.c.connect("juliet")
        self.say("2")
        self.assertEqual(self.bodies(juliet), [])
        self.nodes.lose("b")
        self.nodes.clock.advance(0)
        self.say("3")
        self.assertEqual(self.bodies(juliet), ["1", "2", "3"])


class WaysTests(NodesTestCase):
    def test_bounds(self) -> None:
        """The oldest ways make way, and so do the nodes of one account."""
        ways = Ways()
        for number in range(MAX_WAYS + 1):
            ways.goes_by(str(number), self.b.id)
        self.assertEqual((len(ways.taken), ways.nodes("0")), (MAX_WAYS, ()))
        for number in range(MAX_NODES + 1):
            ways.goes_by("1", NodeId(f"n{number}", 1))
        self.assertEqual(len(ways.nodes("1")), MAX_NODES)


class StoredBeforeTests(SynchronousTestCase):
    """Juliet is nowhere when Romeo begins to write, and comes to another node under way."""

    def play(self, seed: int) -> list[str]:
        """She logs in at some moment, and he goes on to write to her account, or to her client;
        nodes, the directory and the store take their time. Returns what she gets.
        """
        random = Random(seed)  # it is to be the same each time
        database = SlowDatabase()
        nodes = Nodes("a", "b", late_directory=True, database=database, romeo={}, juliet={})
        (romeo,) = nodes["a"].connect("romeo")
        juliet = nodes["b"].logged_in("juliet")
        network = nodes.network
        network.choose = random.randrange
        network.held = database.slow = True
        bind = f"<bind xmlns='{ns.BIND}'><resource>1</resource></bind>"
        login = f"<iq type='set' id='b'>{bind}</iq><presence/>"
        things = [
            partial(romeo.handler.dataReceived, CHAT.format(to, number).encode())
            for number, to in enumerate((JULIET, *random.choices((JULIET, f"{JULIET}/1"), k=3)), 1)
        ]
        things.insert(random.randrange(4), partial(juliet.handler.dataReceived, login.encode()))
        for thing in things:
            thing()
            for _ in range(random.randrange(16)):
                if database.waiting and random.random() < 0.5:
                    database.waiting.pop(0).callback(None)
                else:
                    network.arrive(1)
        network.held = database.slow = False
        for _ in range(15):
            while database.waiting:
                database.waiting.pop(0).callback(None)
            nodes.settle()
            nodes.clock.advance(1)
        return re.findall("<body>(.*?)</body>", juliet.raw().decode())

    def test_order(self) -> None:
        """What was stored for her comes first, whenever she comes, also before what is for her
        client alone (MR-7).
        """
        for seed in (*range(60), 183, 228, 314, 352):
            with self.subTest(seed=seed):
                self.assertEqual(self.play(seed), ["1", "2", "3", "4"])
