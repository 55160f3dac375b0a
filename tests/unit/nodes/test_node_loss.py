"""A node is lost: what was under way to it is not."""

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.node import Location
from xmppd.routing.siblings import MEET_S
from xmppd.stanza import ns
from xmppd.testing.client import done


class NodeLossTests(NodesTestCase):
    """b has died, and the others do not know it yet."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.send(f"<message to='{JULIET}'><body>0</body></message>")
        self.juliet.received()
        self.nodes.kill("b")

    def stored(self) -> list[str]:
        """The texts of the messages that are stored for Juliet."""
        messages = done(self.a.store.offline.offline_messages(JULIET))
        return [each.stanza.split(b"<body>")[1].split(b"</body>")[0].decode() for each in messages]

    def test_stored(self) -> None:
        """Messages for somebody who was there are stored, in order, and once."""
        for number in range(3):
            self.romeo.send(f"<message to='{JULIET}'><body>{number}</body></message>")
        self.assertEqual(self.stored(), [])
        self.nodes.lose("b")
        self.romeo.send(f"<message to='{JULIET}'><body>3</body></message>")
        self.assertEqual(self.stored(), ["0", "1", "2", "3"])
        self.assertEqual(self.romeo.received(), [])

    def test_elsewhere(self) -> None:
        """They are delivered if she is at another node by then, ahead of later ones."""
        for number in range(3):
            self.romeo.send(f"<message to='{JULIET}'><body>{number}</body></message>")
        (juliet,) = self.c.connect("juliet")
        self.nodes.clock.advance(MEET_S)  # her login waits for b
        juliet.received()
        self.nodes.lose("b")
        self.romeo.send(f"<message to='{JULIET}'><body>3</body></message>")
        self.assertEqual(self.bodies(juliet), ["0", "1", "2", "3"])

    def test_request(self) -> None:
        """A request to a session that was there is refused."""
        self.romeo.send(f"<iq to='{JULIET}/1' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>")
        self.assertEqual(self.romeo.received(), [])
        self.nodes.lose("b")
        self.assertIn("<service-unavailable", "".join(self.romeo.received()))

    def test_interest(self) -> None:
        """Nobody is taken to be there any more."""
        table = self.a.server.routing_table
        there, left = (Location(house.id, 1) for house in (self.b, self.c))
        table.elsewhere.update({"x@montague.lit": (there,), "y@montague.lit": (there, left)})
        self.nodes.lose("b")
        self.assertEqual(table.elsewhere, {"y@montague.lit": (left,)})
