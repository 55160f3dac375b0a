"""Too much is under way to another node: who writes waits."""

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.outbox import ROOM_WITHIN_S, FrameWindow
from xmppd.stanza import ns


class RoomTests(NodesTestCase):
    """b takes nothing, and three entries may be under way."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.send(f"<message to='{JULIET}'><body>0</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["0"])
        bus = self.a.server.cluster.bus
        assert isinstance(bus, MemoryBus)
        self.bus = bus
        conversation = bus.conversation(self.b.id)
        assert conversation is not None
        conversation._outbox.window = FrameWindow(entries=3)
        bus.cut.add(self.b.id)
        for number in range(1, 4):
            self.romeo.send(f"<message to='{JULIET}'><body>{number}</body></message>")

    def test_waits(self) -> None:
        """A client is read no further until there is room, and nothing is lost."""
        self.romeo.send(f"<message to='{JULIET}'><body>4</body></message>")
        self.assertTrue(self.romeo.handler._waiting)
        self.romeo.send(f"<iq to='{JULIET}/1' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>")
        self.bus.mend(self.b.id)
        got = "".join(self.juliet.received())
        for number in range(1, 5):
            self.assertEqual(got.count(f"<body>{number}</body>"), 1)
        self.assertIn("<ping", got)
        self.assertFalse(self.romeo.handler._waiting)

    def test_bounced(self) -> None:
        """What has waited for too long comes back, and may be sent again; a request as well."""
        for stanza in (
            f"<message to='{JULIET}'><body>4</body></message>",
            f"<iq to='{JULIET}/1' type='get' id='1'><ping xmlns='{ns.PING}'/></iq>",
        ):
            self.romeo.send(stanza)
            self.assertEqual(self.romeo.received(), [])
            self.nodes.clock.advance(ROOM_WITHIN_S)
            (error,) = self.romeo.received()
            self.assertIn("<remote-server-timeout", error)
            self.assertIn("type='wait'", error)
            self.assertIn("<text", error)
        self.bus.mend(self.b.id)
        self.assertEqual(self.bodies(self.juliet), ["1", "2", "3"])

    def test_again(self) -> None:
        """Several who wait are let go one after the other, in order."""
        others = [self.a.connect(f"romeo/{number}")[0] for number in range(3)]
        for number, client in enumerate(others, 4):
            client.send(f"<message to='{JULIET}'><body>{number}</body></message>")
            self.assertTrue(client.handler._waiting)
        self.bus.mend(self.b.id)
        self.assertEqual(self.bodies(self.juliet), ["1", "2", "3", "4", "5", "6"])
        self.assertEqual([client.received() for client in others if client.handler._waiting], [])
