"""Messages stay in order when their recipient goes from node to node."""

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.node import Location, NodeId
from xmppd.routing.routing_table import SETTLE_S
from xmppd.routing.ways import MAX_NODES, MAX_WAYS, Ways
from xmppd.testing.client import Client, done


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
