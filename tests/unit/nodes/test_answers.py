"""Answers that come back to the node that has asked, and errors to who has written."""

from collections.abc import Collection, Mapping

from tests.unit.nodes.test_locate import JULIET, NodesTestCase
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Location
from xmppd.routing.routing_table import WHO_HAS_S
from xmppd.stanza import IQ, JID, ns

NS = "jabber:iq:privacy"
ROMEO = "romeo@montague.lit"
PING = f"<ping xmlns='{ns.PING}'/>"


class RequestTests(NodesTestCase):
    """a asks a client at b."""

    def ask(self, to: str) -> list[IQ | None]:
        """What the answer is, when there is one."""
        answers: list[IQ | None] = []
        server = JID.parse("montague.lit")
        answer = self.a.server.requests.ask(JID.parse(to), server, PING.encode(), timeout_s=60)
        answer.addCallback(answers.append)
        self.nodes.settle()
        return answers

    def test_answered(self) -> None:
        """Its answer comes to a, even if b has asked it something itself."""
        answers = self.ask(f"{JULIET}/1")
        own = self.b.server.requests.ask(
            JID.parse(f"{JULIET}/1"), JID.parse("montague.lit"), PING.encode(), timeout_s=60
        )
        ids = [each.split(" id='")[1].split("'")[0] for each in self.juliet.received()]
        self.assertEqual(len(set(ids)), 2)
        self.juliet.send(f"<iq type='result' id='{ids[0]}' to='montague.lit'/>")
        (answer,) = answers
        assert answer is not None
        self.assertEqual(answer.sender.full, f"{JULIET}/1")
        self.assertFalse(own.called)

    def test_nobody(self) -> None:
        """Who is nowhere does not answer."""
        self.assertEqual(self.ask(f"{ROMEO}/x"), [None])
        self.assertEqual(self.ask("nurse@montague.lit/1"), [None])

    def test_refused(self) -> None:
        """A session that is not there any more is said to be gone."""
        self.assertEqual(self.ask(f"{JULIET}/1"), [])
        (answer,) = self.ask(f"{JULIET}/x")
        assert answer is not None
        self.assertEqual(answer.type, "error")

    def test_forged(self) -> None:
        """Nobody answers what somebody else was asked."""
        answers = self.ask(f"{JULIET}/1")
        id = self.juliet.received()[0].split(" id='")[1].split("'")[0]
        (nurse,) = self.c.connect("nurse")
        nurse.send(f"<iq type='result' id='{id}' to='montague.lit'/>")
        self.assertEqual(answers, [])


class ErrorTests(NodesTestCase):
    """Romeo writes to somebody at b."""

    plugins = ("privacy_lists",)

    def test_refused(self) -> None:
        """An error that b's server makes comes back, even if Romeo's list lets nothing in."""
        self.romeo.send(
            f"<iq type='set' id='1'><query xmlns='{NS}'><list name='x'>"
            "<item action='deny' order='1'><message/></item></list></query></iq>"
            f"<iq type='set' id='2'><query xmlns='{NS}'><active name='x'/></query></iq>"
        )
        self.romeo.received()
        self.romeo.send(f"<message to='{JULIET}' type='groupchat'><body>1</body></message>")
        (error,) = self.romeo.received()
        self.assertIn("<service-unavailable", error)
        self.juliet.send("<message to='romeo@montague.lit/1' type='error'/>")
        self.assertEqual(self.romeo.received(), [])


class LastActivityTests(NodesTestCase):
    """Romeo, at a, asks how long ago Juliet was here (XEP-0012)."""

    plugins = ("last_activity",)
    subscription = "both"
    query = "<query xmlns='jabber:iq:last'/>"

    def ask(self, to: str) -> str:
        self.romeo.received()
        self.romeo.send(f"<iq to='{to}' type='get' id='last'>{self.query}</iq>")
        return "".join(each for each in self.romeo.received() if "id='last'" in each)

    def test_online(self) -> None:
        """She is online, at another node, whose answer it is."""
        self.nodes.clock.advance(30)
        self.assertIn("seconds='0'", self.ask(JULIET))

    def test_resource(self) -> None:
        """A resource of hers is asked, as he may see her."""
        self.juliet.received()
        self.ask(f"{JULIET}/1")
        self.assertIn("jabber:iq:last", "".join(self.juliet.received()))

    def test_stranger(self) -> None:
        """A resource is not asked by somebody who may not see her."""
        self.a.add("nurse")
        (nurse,) = self.a.connect("nurse")
        self.juliet.received()
        nurse.send(f"<iq to='{JULIET}/1' type='get' id='last'>{self.query}</iq>")
        self.assertIn("<forbidden", "".join(nurse.received()))
        self.assertEqual(self.juliet.received(), [])


class AwayTests(NodesTestCase):
    """The directory is away."""

    def setUp(self) -> None:
        super().setUp()
        for house in self.nodes.houses.values():
            self.patch(house.server.cluster.directory, "nodes_of", self.is_away)

    async def is_away(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        raise DirectoryAway("no answer")

    def test_asked(self) -> None:
        """All nodes are asked, and who is at one of them gets a message."""
        self.romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        self.assertEqual(self.bodies(self.juliet), ["1"])

    def test_absent(self) -> None:
        """Who is at none of them is absent."""
        self.juliet.abort()
        self.romeo.send(f"<message to='{JULIET}' type='headline'><body>1</body></message>")
        self.romeo.send(f"<message to='{JULIET}' type='groupchat'><body>1</body></message>")
        self.assertIn("<service-unavailable", "".join(self.romeo.received()))

    def test_unknown(self) -> None:
        """As long as one does not answer, nobody is believed to be absent."""
        self.nodes.kill("b")
        self.romeo.send(f"<message to='{JULIET}'><body>1</body></message>")
        self.assertEqual(self.romeo.received(), [])
        self.nodes.clock.advance(WHO_HAS_S)
        (error,) = self.romeo.received()
        self.assertIn("<remote-server-timeout", error)
        self.assertIn("type='wait'", error)
        self.assertIn("the other part of the service does not answer", error)
