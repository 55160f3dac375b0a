"""A message that sessions on several nodes have, and give back when they end."""

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.routing.copy_counts import MAX_COUNTED, CopyCounts
from xmppd.routing.origins import MAX_HAD
from xmppd.stanza import ns
from xmppd.stanza.copy_count import Copies
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import NodeHouse

SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class CopiesTests(NodesTestCase):
    """Juliet has a session at b, whose node decides, and one at c; both acknowledge nothing yet."""

    def setUp(self) -> None:
        super().setUp()
        (self.tablet,) = self.c.connect("juliet/tablet")
        for client in (self.juliet, self.tablet):
            client.raw()
            client.enable("")
        self.romeo.send(f"<message to='{JULIET}' type='chat'><body>1</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["1"])
        self.assertEqual(self.bodies(self.tablet), ["1"])

    def stored(self) -> int:
        """How many messages wait for Juliet."""
        return len(done(self.a.store.offline.offline_messages(JULIET)))

    def leave(self, client: Client) -> None:
        """The client's connection breaks, and it does not come back."""
        client.abort()
        self.nodes.settle()

    def test_stored_once(self) -> None:
        """When both have ended without having read it, it is stored once."""
        self.leave(self.tablet)
        self.assertEqual((self.stored(), self.bodies(self.juliet)), (0, []))
        self.leave(self.juliet)
        self.assertEqual(self.stored(), 1)

    def test_other_order(self) -> None:
        """So it is in the other order."""
        self.leave(self.juliet)
        self.assertEqual((self.stored(), self.bodies(self.tablet)), (0, []))
        self.leave(self.tablet)
        self.assertEqual(self.stored(), 1)

    def test_read(self) -> None:
        """What one of them has read is not stored for the other."""
        self.tablet.send(f"<a {SM} h='1'/>")
        self.leave(self.tablet)
        self.leave(self.juliet)
        self.assertEqual(self.stored(), 0)

    def test_read_at_home(self) -> None:
        """So it is in the other order."""
        self.juliet.send(f"<a {SM} h='1'/>")
        self.leave(self.juliet)
        self.leave(self.tablet)
        self.assertEqual(self.stored(), 0)

    def test_node_lost(self) -> None:
        """When the node that has counted is gone, it is stored rather than lost."""
        self.nodes.lose("b")
        self.leave(self.tablet)
        self.assertEqual(self.stored(), 1)

    def test_under_way(self) -> None:
        """What has not arrived at a lost node counts as given back: of two messages one has."""
        self.nodes.kill("c")
        self.romeo.send(f"<message to='{JULIET}' type='chat'><body>2</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["2"])
        self.leave(self.juliet)
        self.assertEqual(self.stored(), 0)
        self.nodes.lose("c")
        self.assertEqual(self.stored(), 1)


class RoutedAnewTests(NodesTestCase):
    """Juliet has a session at b, whose node decides, and one at c. Nobody hears any more of b what
    it has handled; then it is lost (CL-15).
    """

    def setUp(self) -> None:
        super().setUp()
        (self.tablet,) = self.c.connect("juliet/tablet")
        self.tablet.received()
        bus = self.b.server.cluster.bus
        assert isinstance(bus, MemoryBus)
        self.bus = bus

    def write(self, client: Client, *texts: str, to: str = JULIET) -> None:
        """Somebody writes, and what b says does not get to the client's node."""
        house = client.house
        assert isinstance(house, NodeHouse)
        self.bus.cut.add(house.id)
        for text in texts:
            client.send(f"<message to='{to}' type='chat'><body>{text}</body></message>")

    def test_once(self) -> None:
        """A session at a third node that has the message by then is not given it again."""
        self.write(self.romeo, "1", "2")
        self.assertEqual(self.bodies(self.tablet), ["1", "2"])
        self.nodes.lose("b")
        self.write(self.romeo, "3")
        self.assertEqual(self.bodies(self.tablet), ["3"])

    def test_another_session(self) -> None:
        """One that has come since is given it, also under the same name."""
        self.write(self.romeo, "1")
        self.assertEqual(self.bodies(self.tablet), ["1"])
        self.tablet.send("</stream:stream>")
        self.bus.cut.clear()
        (again,) = self.c.connect("juliet/tablet")
        again.received()
        self.nodes.lose("b")
        self.assertEqual(self.bodies(again), ["1"])

    def test_only_one_had_it(self) -> None:
        """A session that had not had it gets it."""
        self.write(self.romeo, "1")
        (laptop,) = self.c.connect("juliet/laptop")
        laptop.received()
        self.bodies(self.tablet)
        self.nodes.lose("b")
        self.assertEqual((self.bodies(self.tablet), self.bodies(laptop)), ([], ["1"]))

    def test_bound(self) -> None:
        """What was had long ago is forgotten."""
        origins, session = self.c.server.routing_table.origins, self.tablet.session
        for number in range(MAX_HAD + 1):
            self.assertTrue(origins.is_new(f"a.1/{number}", session))
        self.assertEqual(len(origins), MAX_HAD)
        self.assertFalse(origins.is_new(f"a.1/{MAX_HAD}", session))
        self.assertTrue(origins.is_new("a.1/0", session))


class CopyCountsTests(NodesTestCase):
    def test_bound(self) -> None:
        """Of messages that are long ago nobody knows who has read them."""
        counts = CopyCounts()
        first, last = Copies(JULIET, 2), Copies(JULIET, 2)
        counts.number(first)
        for _ in range(MAX_COUNTED - 1):
            counts.number(last)
        self.assertFalse(counts.give_back(first.number))
        counts.number(Copies(JULIET, 2))
        self.assertEqual(len(counts), MAX_COUNTED)
        self.assertTrue(counts.give_back(first.number))
