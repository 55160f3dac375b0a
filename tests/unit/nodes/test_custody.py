"""What a sender was told is safe, when the node that has it is killed."""

import re

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.login.resumption import RETRY_S
from xmppd.nodes.custody import SECURE_S
from xmppd.session.stream_management import MAX_TOLD
from xmppd.stanza import ns
from xmppd.store.errors import StoreError
from xmppd.testing.client import done

SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class CustodyTests(NodesTestCase):
    """Romeo's client asks what was handled; Juliet's acknowledges what it is told to."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.enable()
        self.juliet.enable()

    def send(self, text: str, to: str = JULIET) -> None:
        self.romeo.send(f"<message to='{to}' type='chat'><body>{text}</body></message>")

    def asks(self) -> int | None:
        """What Romeo is told was handled; None if nothing yet."""
        self.romeo.send(f"<r {SM}/>")
        return self.told()

    def told(self) -> int | None:
        found = re.findall(rb"<a [^>]*h='(\d+)'", self.romeo.raw())
        return int(found[-1]) if found else None

    def stored(self) -> list[str]:
        waiting = done(self.a.store.offline.offline_messages(JULIET))
        return re.findall("<body>(.*?)</body>", " ".join(each.stanza.decode() for each in waiting))

    def recovered(self) -> list[str]:
        """What waits for Juliet when b was killed."""
        self.nodes.lose("b")
        done(self.a.store.sessions.recover_messages(str(self.b.id)))
        return self.stored()

    def test_held(self) -> None:
        """What was acknowledged is in the store, though it has been on another node only."""
        self.send("1")
        self.send("2")
        self.assertEqual(self.asks(), 2)
        self.assertEqual(self.recovered(), ["1", "2"])

    def test_cannot_be_held(self) -> None:
        """A node that cannot hold it says so; that is no fault of its own, and nothing is told."""

        async def secure_for(*_: object) -> None:
            raise StoreError("the disk is gone")

        self.patch(self.b.server.held_messages, "secure_for", secure_for)
        self.send("1")
        self.assertIsNone(self.asks())
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_never_asked(self) -> None:
        """What its sender was never told about is not written."""
        self.send("1")
        self.assertEqual(self.recovered(), [])

    def test_acknowledged(self) -> None:
        """What the recipient has acknowledged is not written either."""
        self.send("1")
        self.juliet.send(f"<a {SM} h='1'/>")
        self.assertEqual(self.asks(), 1)
        self.assertEqual(self.recovered(), [])

    def test_many(self) -> None:
        """So it is when the recipients are too many to be remembered."""
        for number in range(MAX_TOLD + 1):
            self.send("hi", f"x{number}@montague.lit")
        self.send("1")
        self.assertEqual(self.asks(), MAX_TOLD + 2)
        self.assertEqual(self.recovered(), ["1"])

    def test_does_not_answer(self) -> None:
        """While the other node does not answer, nothing is acknowledged; and all is, once it is
        lost.
        """
        self.send("1")
        self.nodes.kill("b")
        self.send("2")
        self.assertIsNone(self.asks())
        self.nodes.clock.advance(SECURE_S)
        self.assertIsNone(self.told())
        self.nodes.lose("b")
        self.nodes.clock.advance(RETRY_S)
        self.nodes.settle()
        self.assertEqual(self.told(), 2)
        self.assertEqual(self.stored(), ["2"])

    def test_passed_on(self) -> None:
        """The node that a message was passed on to holds it as well."""
        self.send("0")
        self.juliet.send(f"<a {SM} h='1'/>")
        self.juliet.send("</stream:stream>")
        (juliet,) = self.c.connect("juliet")
        juliet.enable()
        self.send("1")
        self.assertIn("<body>1</body>", "".join(juliet.received()))
        self.assertEqual(self.asks(), 2)
        self.nodes.lose("c")
        done(self.a.store.sessions.recover_messages(str(self.c.id)))
        self.assertEqual(self.stored(), ["1"])

    def test_given_back(self) -> None:
        """What a session gives back stays held until it is safe where it has gone."""
        self.send("1")
        self.assertEqual(self.asks(), 1)
        (tablet,) = self.c.connect("juliet/tablet")
        tablet.enable()
        bus = self.b.server.cluster.bus
        assert isinstance(bus, MemoryBus)
        bus.cut.add(self.c.id)
        self.juliet.send("</stream:stream>")
        self.assertEqual(self.holders(), {str(self.b.id)})
        bus.mend(self.c.id)
        self.assertIn("<body>1</body>", "".join(tablet.received()))
        self.assertEqual(self.holders(), {str(self.c.id)})

    def holders(self) -> set[str]:
        """The nodes that hold messages in the store."""
        return done(self.a.store.sessions.nodes())
