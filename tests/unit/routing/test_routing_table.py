"""RoutingTable and Requests: addresses, routes, and answers to what we asked."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.node import Location, NodeId
from xmppd.routing import requests
from xmppd.session.remote_session import RemoteSession
from xmppd.stanza import IQ, JID, Condition, Message, Stanza
from xmppd.testing.house import House

PING = b"<ping xmlns='urn:xmpp:ping'/>"


class Recorder:
    """A route that keeps what it gets."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        self.got.append(wire)
        return True


class RoutingTableTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(romeo={})
        self.table = self.house.server.routing_table
        self.table.foreign = None
        self.romeo = self.house.jid("romeo")

    def route(self, to: str) -> bool:
        return self.table.route(Message.make(JID.parse(to), self.romeo, b"<body/>"))

    def test_identity(self) -> None:
        """The end of an old session does not take the route of the one in its place (RT-2)."""
        old = self.house.bind("romeo", "orchard").session
        new = self.house.bind("romeo", "orchard")
        self.assertFalse(self.table.remove(old))
        self.assertTrue(self.route("romeo@montague.lit/orchard"))
        self.assertEqual(len(new.received()), 1)

    def test_whole_names(self) -> None:
        """A domain is ours by its whole name only (RT-9)."""
        self.assertTrue(self.table.is_local(JID.parse("x@montague.lit")))
        for domain in ("notmontague.lit", "montague.lit.example", "a.montague.lit"):
            self.assertFalse(self.table.is_local(JID.parse(domain)))

    def test_component(self) -> None:
        """Everything for a component's domain goes to it, whoever is named there (RT-13)."""
        self.table.components["jokes.montague.lit"] = jokes = Recorder()
        self.assertTrue(self.route("jokes.montague.lit"))
        self.assertTrue(self.route("a@jokes.montague.lit/b"))
        self.assertFalse(self.route("more.jokes.montague.lit"))
        self.assertEqual(len(jokes.got), 2)

    def test_tell(self) -> None:
        """Many are told the same, each by its own address, in order; whom no route leads to is
        known.
        """
        self.table.components["jokes.montague.lit"] = jokes = Recorder()
        orchard = self.house.bind("romeo", "orchard")
        there = [orchard.session.jid, JID.parse("yorick@jokes.montague.lit/grave")]
        missing = [JID.parse(f"romeo@montague.lit{resource}") for resource in ("", "/tomb")]
        missing.append(JID.parse("nurse@capulet.lit"))
        ball = JID.parse("ball@jokes.montague.lit/lark")
        message = Message.make(self.romeo, ball, b"<body>x</body>", type="groupchat")
        self.assertEqual(self.table.tell(message, [*there, *missing]), missing)
        (heard,) = orchard.received()
        self.assertIn(f"from='{ball}' to='{there[0]}'", heard)
        self.assertIn(f"to='{there[1]}'".encode(), jokes.got[0])

    def test_tell_unread(self) -> None:
        """Who leaves without having read it is told of by the address that was told."""
        self.table.components["jokes.montague.lit"] = jokes = Recorder()
        orchard = self.house.bind("romeo", "orchard")
        ball = JID.parse("ball@jokes.montague.lit/lark")
        orchard.stop_reading()
        message = Message.make(None, ball, b"<body>x</body>", type="groupchat")
        self.table.tell(message, [orchard.session.jid])
        orchard.abort()
        (error,) = jokes.got
        self.assertIn(f"from='{orchard.jid}'".encode(), error)
        self.assertIn(b"<service-unavailable", error)

    def test_component_that_is_away(self) -> None:
        """A sender learns that a component is away, and may come back."""
        self.table.components["jokes.montague.lit"] = Recorder()
        message = Message.make(JID.parse("a@jokes.montague.lit"), self.romeo)
        for condition in (Condition.SERVICE_UNAVAILABLE, Condition.REMOTE_SERVER_TIMEOUT):
            self.assertEqual(self.table.unreached(message).condition, condition)
            self.table.away.add("jokes.montague.lit")

    def test_foreign(self) -> None:
        """Other domains have one route, if there is one."""
        self.assertFalse(self.route("a@elsewhere.example"))
        self.table.foreign = Recorder()
        self.assertTrue(self.route("a@elsewhere.example"))
        self.assertFalse(self.route("nobody@montague.lit/x"))

    def test_nobody_is_kept(self) -> None:
        """When the last session has gone, nothing of its account is left."""
        before = (len(self.table.users), len(self.table.bound))
        client = self.house.connect("romeo")[0]
        client.abort()
        self.assertEqual((len(self.table.users), len(self.table.bound)), before)

    def test_here(self) -> None:
        """Of an account's sessions on all nodes those that are connected here are told apart; when
        the last of these has gone, the others are nobody's concern.
        """
        (orchard,) = self.house.connect("romeo/orchard")
        jid = self.romeo.with_resource("mantua")
        other = RemoteSession(jid, Location(NodeId("b", 1), 1), self.table.bus)
        other.presence = orchard.session.presence
        self.table.add(other)
        self.table.refresh(other)
        bare, here, everywhere = self.romeo.bare, (orchard.session,), (orchard.session, other)
        self.assertEqual(self.table.available(bare), everywhere)
        self.assertEqual(self.table.sessions(bare), everywhere)
        self.assertEqual(self.table.available_here(bare), here)
        self.assertEqual(self.table.sessions_here(bare), here)
        orchard.abort()
        self.assertEqual((self.table.users, self.table.bound), ({}, {}))


class RequestTests(SynchronousTestCase):
    """IQs of our own (IQ-14)."""

    def setUp(self) -> None:
        self.house = House(romeo={}, juliet={})
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.answers: list[IQ | None] = []

    def ask(self, to: JID | None) -> Deferred[None]:
        assert to is not None
        asked = self.house.server.requests.ask(to, JID.parse("montague.lit"), PING, timeout_s=30.0)
        return asked.addCallback(self.answers.append)

    def test_answer(self) -> None:
        """The answer of who was asked arrives."""
        self.ask(self.romeo.jid)
        self.romeo.send("<iq type='result' id='xmppd-1' to='montague.lit'/>")
        self.assertEqual([answer and answer.type for answer in self.answers], ["result"])

    def test_somebody_else(self) -> None:
        """Nobody else can answer, even if they guess the id."""
        self.ask(self.romeo.jid)
        self.juliet.send("<iq type='result' id='xmppd-1' to='montague.lit'/>")
        self.assertEqual(self.answers, [])

    def test_no_answer(self) -> None:
        """Who does not answer in time is waited for no longer."""
        self.ask(self.romeo.jid)
        self.house.clock.advance(30)
        self.assertEqual(self.answers, [None])

    def test_nobody_there(self) -> None:
        """Who is not there is not waited for at all."""
        self.ask(JID.parse("romeo@montague.lit/elsewhere"))
        self.assertEqual(self.answers, [None])

    def test_too_many(self) -> None:
        """Only so many wait at once; another one counts as not answered."""
        self.patch(requests, "MAX_PENDING", 2)
        for _ in range(3):
            self.ask(self.romeo.jid)
        self.assertEqual(self.answers, [None])
        self.house.server.requests.stop()
        self.assertEqual(self.answers, [None] * 3)
