"""A message that is stored when it is routed anew, since a node was lost, comes once (CL-53)."""

import re

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.membership import NodeLost
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.stanza import ns
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import NodeHouse

SM = f"xmlns='{ns.STREAM_MANAGEMENT}'"


class StoredTwiceCase(NodesTestCase):
    """Node b decides about what is for Juliet, and is lost before others hear what it has done."""

    def setUp(self) -> None:
        super().setUp()
        self.romeo.enable("")

    def mute(self, house: NodeHouse, *others: NodeHouse) -> None:
        """What a node says does not get to these others any more."""
        bus = house.server.cluster.bus
        assert isinstance(bus, MemoryBus)
        bus.cut.update(other.id for other in others)

    def write(self, text: str, to: str = JULIET) -> None:
        """Romeo writes to Juliet, and asks whether that was handled."""
        self.romeo.send(f"<message to='{to}' type='chat'><body>{text}</body></message><r {SM}/>")
        self.nodes.settle()

    def waiting(self) -> int:
        """How many messages wait for Juliet."""
        return len(done(self.a.store.offline.offline_messages(JULIET)))

    def comes(self, house: NodeHouse, resource: str = "phone") -> Client:
        """Juliet comes to a node."""
        client = house.bind("juliet", resource)
        client.send("<presence/>")
        return client

    def reads(self, client: Client) -> list[str]:
        """What a client has got, and answers the server's pings behind."""
        self.nodes.settle()
        data = client.raw()
        for id in re.findall(rb"id='(xmppd-[^']+)'", data):
            client.send(b"<iq type='result' id='%b' to='montague.lit'/>" % id)
        self.nodes.settle()
        return [text.decode() for text in re.findall(rb"<body>(.*?)</body>", data)]


class NobodyThereTests(StoredTwiceCase):
    """Nobody of Juliet is available when she is written to."""

    def test_kept(self) -> None:
        """What the lost node has kept waits once, and what came later behind it."""
        self.juliet.send("<presence type='unavailable'/>")
        self.mute(self.b, self.a)
        self.write("1")
        self.nodes.lose("b")
        self.write("2")
        self.assertEqual(self.waiting(), 2)
        self.assertEqual(self.reads(self.comes(self.c)), ["1", "2"])

    def test_kept_and_given(self) -> None:
        """What a session was given out of the store by then is not routed to it again."""
        self.juliet.send("<presence type='unavailable'/>")
        self.mute(self.b, self.a)
        self.write("1")
        phone = self.comes(self.c)
        self.assertEqual(self.reads(phone), ["1"])
        self.nodes.lose("b")
        self.assertEqual(self.reads(phone), [])

    def test_held(self) -> None:
        """What the lost node has held for a session of its own waits once."""
        self.juliet.enable("")
        self.mute(self.b, self.a)
        self.write("1")
        self.nodes.lose("b")
        self.assertEqual(self.waiting(), 1)
        self.assertEqual(self.reads(self.comes(self.c)), ["1"])


class SomebodyThereTests(StoredTwiceCase):
    """Juliet has a session at b, for which that holds messages, and a tablet at c."""

    def setUp(self) -> None:
        super().setUp()
        self.juliet.enable("")
        self.tablet = self.comes(self.c, "tablet")
        self.reads(self.tablet)

    def test_delivered(self) -> None:
        """A session at a third node that has the message is not given it out of the store."""
        self.mute(self.b, self.a)
        self.write("1")
        self.assertEqual(self.reads(self.tablet), ["1"])
        self.nodes.lose("b")
        self.assertEqual((self.reads(self.tablet), self.waiting()), ([], 0))

    def test_sent_at_the_lost_node(self) -> None:
        """So it is if its sender was at the lost node, which was the first to pass it on."""
        (benvolio,) = self.b.connect("romeo/2")
        benvolio.enable()
        benvolio.send(f"<message to='{JULIET}' type='chat'><body>1</body></message><r {SM}/>")
        self.assertEqual(self.reads(self.tablet), ["1"])
        self.nodes.lose("b")
        self.assertEqual((self.reads(self.tablet), self.waiting()), ([], 0))

    def test_routed_anew_later(self) -> None:
        """So it is if it is routed anew after it was given out of the store."""
        self.mute(self.b, self.a, self.c)
        self.write("1")
        gone = self.nodes.members["b"]
        self.nodes.kill("b")
        self.nodes.directory.fenced.add(gone.id)
        self.c.server.events.fire(NodeLost(gone))
        self.nodes.settle()
        self.assertEqual(self.reads(self.tablet), ["1"])
        self.a.server.events.fire(NodeLost(self.nodes.members.pop("b")))
        self.nodes.settle()
        self.assertEqual((self.reads(self.tablet), self.waiting()), ([], 0))

    def test_given_back(self) -> None:
        """So it is with what a session at the lost node had given back, and was held for it."""
        self.juliet.send("<presence><priority>1</priority></presence>")
        self.write("1")
        self.assertEqual((self.reads(self.juliet), self.reads(self.tablet)), (["1"], []))
        self.mute(self.c, self.b)
        self.juliet.abort()
        self.nodes.clock.advance(6)
        self.assertEqual(self.reads(self.tablet), ["1"])
        self.nodes.lose("b")
        self.assertEqual((self.reads(self.tablet), self.waiting()), ([], 0))

    def test_is_still_safe(self) -> None:
        """It stays stored until that session has acknowledged it, so it outlives its node."""
        self.tablet.enable("")
        self.mute(self.b, self.a)
        self.write("1")
        self.assertEqual(self.reads(self.tablet), ["1"])
        self.nodes.lose("b")
        self.assertEqual(self.waiting(), 1)
        self.nodes.lose("c")
        self.assertEqual(self.reads(self.comes(self.a)), ["1"])

    def test_acknowledged(self) -> None:
        """When it has, it is stored no more."""
        self.tablet.enable("")
        self.mute(self.b, self.a)
        self.write("1")
        self.nodes.lose("b")
        self.tablet.send(f"<a {SM} h='1'/>")
        self.nodes.settle()
        self.assertEqual(self.waiting(), 0)

    def test_ended_unread(self) -> None:
        """If it ends without, the message waits for the next one."""
        self.tablet.enable("")
        self.mute(self.b, self.a)
        self.write("1")
        self.nodes.lose("b")
        self.tablet.abort()
        self.nodes.settle()
        self.assertEqual(self.waiting(), 1)
        self.assertEqual(self.reads(self.comes(self.a)), ["1"])
