"""Requests by BOSH that come to a node which has not their session."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.web.bosh_client import BoshAnswer, BoshClient, answer, waits
from xmppd.nodes import bosh_entries
from xmppd.nodes.bosh_entries import ANSWER_S
from xmppd.testing.nodes import Nodes
from xmppd.testing.web import WebClient
from xmppd.web.bosh_session import MAX_WAIT_S

PING = "<iq xmlns='jabber:client' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"


class PassedOnTests(SynchronousTestCase):
    """Romeo's session is at a, and the balancer sends what he asks to b."""

    def setUp(self) -> None:
        self.nodes = Nodes("a", "b", plugins=("ping",), romeo={}, juliet={})
        self.client = BoshClient(self.nodes["a"])
        self.client.log_in("romeo")
        self.session = self.client.session
        self.client.house = self.nodes["b"]

    def ask(self, attributes: str = "", content: str = "", rid: int | None = None) -> WebClient:
        """A request to b, which has come to a."""
        web = self.client.ask(attributes, content, rid)
        self.settle()
        return web

    def settle(self) -> None:
        """Let entries and answers arrive."""
        for _ in range(3):
            self.nodes.settle()
            self.nodes.clock.advance(0)

    def said(self, attributes: str = "", content: str = "", rid: int | None = None) -> BoshAnswer:
        """The answer to a request, which must be there."""
        return answer(self.ask(attributes, content, rid))

    def test_answered(self) -> None:
        """It is answered as if it had come to the right one, once; and again with the same."""
        first = self.said("", PING)
        self.assertEqual(first.names, ["{jabber:client}iq"])
        self.assertEqual(self.said("", PING, self.client.rid).data, first.data)
        self.assertNotIn(self.client.sid, self.nodes["b"].server.bosh_sessions.sessions)

    def test_waits(self) -> None:
        """It waits until there is something to say, at whichever node its next one comes."""
        web = self.ask()
        self.assertTrue(waits(web))
        (juliet,) = self.nodes["b"].connect("juliet")
        to = self.session.handler
        assert to is not None
        juliet.send("<message to='romeo@montague.lit/1'><body>Ay me!</body></message>")
        self.settle()
        self.assertIn(b"Ay me!", answer(web).data)
        self.client.house = self.nodes["a"]
        self.assertEqual(answer(self.client.ask("", PING)).names, ["{jabber:client}iq"])

    def test_empty(self) -> None:
        """When its time is over without anything to say it is answered with nothing."""
        web = self.ask()
        self.nodes.clock.pump([1.0] * (MAX_WAIT_S + 3))
        self.settle()
        self.assertEqual((answer(web).names, answer_kind(web)), ([], None))

    def test_lost(self) -> None:
        """Who hangs up at b is gone at a, and may ask again."""
        web = self.ask()
        web.transport.abortConnection()
        self.settle()
        self.assertTrue(all(poll.lost for poll in self.session._open))
        again = self.ask(rid=self.client.rid)
        self.ask("", PING)
        self.assertEqual(answer(again).names, ["{jabber:client}iq"])

    def test_terminate(self) -> None:
        """An end by another node is one."""
        self.assertEqual(self.said("type='terminate'").condition, "")
        self.assertIsNone(self.session.handler)

    def test_node_gone(self) -> None:
        """When the node of a session is gone, who waits is told, and so is who asks."""
        web = self.ask()
        self.nodes.lose("a")
        self.settle()
        self.assertEqual(answer(web).condition, "item-not-found")
        self.assertEqual(self.said("", PING).condition, "item-not-found")

    def test_node_silent(self) -> None:
        """A node that does not answer for long: the client is to ask again."""
        self.nodes.kill("a")
        web = self.client.ask("", PING)
        self.nodes.clock.advance(ANSWER_S)
        self.settle()
        self.assertEqual(answer(web).get("type"), "error")

    def test_other_node_gone(self) -> None:
        """When the node by which a request came is gone, the session lives on."""
        self.ask()
        self.nodes.lose("b")
        self.settle()
        self.client.house = self.nodes["a"]
        again = self.ask(rid=self.client.rid)
        self.ask("", PING)
        self.assertEqual(answer(again).names, ["{jabber:client}iq"])

    def test_made_up(self) -> None:
        """A name that names no node, or one of an earlier life, names no session."""
        sid = self.client.sid
        for made_up in (f"{sid}0", f"{sid[:-1]}x", sid.partition(".")[0], "x.b.1", "x.a.1", "."):
            with self.subTest(made_up):
                self.client.sid = made_up
                self.assertEqual(self.said().condition, "item-not-found")

    def test_too_many(self) -> None:
        """So many wait at a node for others; further ones are to be asked again."""
        self.patch(bosh_entries, "MAX_WAITING", 0)
        self.assertEqual(self.said().get("type"), "error")

    def test_names(self) -> None:
        """The name of a session says its node, and is no less random for that."""
        random, _, node = self.client.sid.partition(".")
        here = self.nodes["a"].server.cluster.membership.id
        self.assertEqual((len(random), node), (32, str(here)))


def answer_kind(web: WebClient) -> str | None:
    """Nothing more has come."""
    return web.raw().decode() or None
