"""A message that sessions on several nodes have, and give back when they end."""

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.routing.copy_counts import MAX_COUNTED, CopyCounts
from xmppd.stanza import ns
from xmppd.stanza.stanza import Copies
from xmppd.testing.client import Client, done

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
