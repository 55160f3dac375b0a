"""Push where several nodes are one service: each message is told once, by one of them."""

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from tests.plugins.push.service import (
    JULIET,
    LATE_S,
    MARKER,
    PLUGINS,
    ROMEO,
    PushService,
    config,
    disable,
    enable,
    message,
)
from xmppd.testing.client import Client
from xmppd.testing.nodes import Nodes


class NodesTests(SynchronousTestCase):
    """Romeo is at a; Juliet's phone is, or was, at b."""

    def setUp(self) -> None:
        both = {"juliet": "both"}, {"romeo": "both"}
        self.nodes = Nodes(
            "a", "b", "c", config=config(), plugins=PLUGINS, romeo=both[0], juliet=both[1]
        )
        self.service = PushService(*self.nodes.houses.values())
        (self.romeo,) = self.connect("a", "romeo")
        self.phone = self.registered("b", "phone")
        self.nodes.settle()

    def connect(self, at: str, *names: str) -> list[Client]:
        """Clients of a node, once all have heard of them."""
        clients = self.nodes[at].connect(*names)
        self.nodes.settle()
        for client in clients:
            client.raw()
        return clients

    def registered(self, at: str, resource: str) -> Client:
        """A phone of Juliet's that has registered a service."""
        (phone,) = self.connect(at, f"juliet/{resource}")
        self.resume_id = phone.enable()
        self.assertEqual(enable(phone, resource), "result")
        self.ack(phone)
        return phone

    def ack(self, client: Client) -> None:
        """Have it acknowledge all it was sent."""
        self.nodes.settle()
        client.raw()
        management = client.session.management
        assert management is not None
        client.send(f"<a xmlns='urn:xmpp:sm:3' h='{management.sent}'/>")

    def send(self, id: str = "m", to: str = JULIET) -> None:
        """Romeo writes."""
        self.romeo.send(message(to, id=id))
        self.nodes.settle()

    def wait(self, seconds: int) -> None:
        """Let time pass."""
        for _ in range(seconds):
            self.nodes.clock.advance(1)
            self.nodes.settle()

    def told(self) -> list[str | None]:
        """The nodes of the service that were told something, each as often as it was."""
        self.nodes.settle()
        return [told.node for told in self.service.heard()]

    def test_away(self) -> None:
        """While she is away, whoever decides about the message tells it, once."""
        self.phone.send("</stream:stream>")
        for at in "abc":
            (romeo,) = self.connect(at, f"romeo/{at}")
            romeo.send(message(id=at))
            self.assertEqual(self.told(), ["phone"], at)
            self.wait(10)

    def test_asleep(self) -> None:
        """While her phone sleeps it is told once, whichever nodes her other devices are at."""
        for at in ("", "a", "b", "c"):
            desks = self.connect(at, f"juliet/{at}") if at else []
            if not at:
                self.phone.abort()
                self.nodes.settle()
            self.send(at)
            self.assertEqual(self.told(), ["phone"], at)
            self.wait(10)
            self.assertEqual(self.told(), [], at)
            for desk in desks:
                desk.send("</stream:stream>")
                self.nodes.settle()

    def test_late(self) -> None:
        """What is not acknowledged in time is told by the node that the phone is at."""
        tablet = self.registered("c", "tablet")
        self.send()
        self.ack(tablet)
        self.wait(int(LATE_S) - 1)
        self.assertEqual(self.told(), [])
        self.wait(1)
        self.assertEqual(self.told(), ["phone"])
        self.assertEqual(self.service.heard_at, [1])

    def test_resumed_elsewhere(self) -> None:
        """A phone that comes back at another node is told by its connection, while it
        acknowledges.
        """
        management = self.phone.session.management
        assert management is not None
        self.phone.abort()
        self.nodes.settle()
        again = self.nodes["c"].logged_in("juliet")
        again.resume(self.resume_id, management.sent)
        self.nodes.settle()
        self.ack(again)
        self.send("a")
        self.ack(again)
        self.wait(60)
        self.assertEqual(self.told(), [])
        self.send("b")
        self.wait(int(LATE_S))
        self.assertEqual(self.told(), ["phone"])
        self.assertEqual(self.service.heard_at, [2])

    def test_seen(self) -> None:
        """What was seen at another node is not told, and what was told before is cleared."""
        (desk,) = self.connect("c", "juliet/desk")
        self.send("a")
        desk.send(message(ROMEO, MARKER))
        self.wait(60)
        self.assertEqual(self.told(), [])
        self.phone.abort()
        self.nodes.settle()
        self.send("b")
        self.assertEqual(self.told(), ["phone"])
        self.wait(10)
        desk.send(message(ROMEO, MARKER))
        self.nodes.settle()
        (told,) = self.service.heard()
        self.assertEqual((told.count, told.body), (0, None))

    def test_disabled(self) -> None:
        """What was registered and forgotten at one node is so at all others."""
        self.assertEqual(disable(self.phone), "result")
        self.phone.send("</stream:stream>")
        self.nodes.settle()
        for at in "abc":
            (romeo,) = self.connect(at, f"romeo/{at}")
            romeo.send(message(id=at))
            self.assertEqual(self.told(), [])
            self.assertNotIn(JULIET, self.nodes[at].server.followers.of)

    def test_joined(self) -> None:
        """A node that starts later knows it as well."""
        self.phone.send("</stream:stream>")
        house = self.nodes.start("d")
        self.service.ends.append((house, PushService(house).ends[0][1]))
        (romeo,) = self.connect("d", "romeo/d")
        romeo.send(message())
        self.assertEqual(self.told(), ["phone"])

    def test_node_lost(self) -> None:
        """When the node of her phone is killed, what comes from then on is told, once each."""
        self.nodes.lose("b")
        for at, number in product("ac", range(2)):
            (romeo,) = self.connect(at, f"romeo/{at}{number}")
            romeo.send(message(id=f"{at}{number}"))
            self.assertEqual(self.told(), ["phone"])
            self.wait(10)

    def test_ended(self) -> None:
        """A session that ends, and gives back what was told, has nothing told again."""
        self.phone.abort()
        self.nodes.settle()
        self.send()
        self.assertEqual(self.told(), ["phone"])
        self.wait(3_600)
        self.assertTrue(self.phone.session.closed)
        self.assertEqual(self.told(), [])
