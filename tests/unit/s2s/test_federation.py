"""Two houses, and what goes from one to the other."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.s2s.foreign_routes import FORGOTTEN, LET_GO_S
from xmppd.stanza import ns
from xmppd.testing.house import House
from xmppd.testing.network import federate


class MessageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.verona = House("verona.lit", romeo={})
        self.mantua = House("mantua.lit", juliet={})
        self.network = federate(self.verona, self.mantua)
        (self.romeo,) = self.verona.connect("romeo")
        (self.juliet,) = self.mantua.connect("juliet")

    def test_there_and_back(self) -> None:
        """A message reaches somebody at another server, and so does the answer."""
        self.romeo.send("<message to='juliet@mantua.lit' type='chat'><body>O</body></message>")
        (message,) = self.juliet.received()
        self.assertIn("from='romeo@verona.lit/1' to='juliet@mantua.lit' type='chat'", message)
        self.assertIn("<body>O</body>", message)
        self.juliet.send("<message to='romeo@verona.lit/1' type='chat'><body>Ay</body></message>")
        (answer,) = self.romeo.received()
        self.assertIn("Ay", answer)

    def test_as_large_as_may_be(self) -> None:
        """What a client may say, its server may pass on: the stream that many use stays."""
        self.romeo.send("<message to='juliet@mantua.lit'/>")
        self.juliet.received()
        lines = len(self.network.lines)
        limits = self.verona.server.config.stream
        head, end = "<message to='juliet@mantua.lit' id='large'>", "</message>"
        room = limits.max_stanza_bytes - len(head) - len(end)
        names = [f" a{number}=''" for number in range(limits.max_attributes)]
        prefixes = "".join(f" xmlns:b{number}='u{number}'" for number in range(60))
        prefixed = "".join(f" b{number}:z=''" for number in range(60))
        for inside in (
            f"<body>{'x' * (room - 13)}</body>",
            f"<x a='{'x' * (room - 9)}'/>",
            f"<body>{'x' * (room - 25)}<![CDATA[]]></body>",
            "<x>" * (limits.max_depth - 1) + "</x>" * (limits.max_depth - 1),
            f"<x{''.join(names)}/>",
            f"<x{prefixes}><y{prefixed}><![CDATA[]]></y></x>",
        ):
            self.romeo.send(head + inside + end)
            (message,) = self.juliet.received()
            self.assertIn("id='large'", message)
        self.assertEqual(self.romeo.received(), [])
        self.assertEqual(len(self.network.lines), lines)

    def test_presence(self) -> None:
        """Somebody at another server hears a directed presence, and the goodbye."""
        self.romeo.send("<presence to='juliet@mantua.lit'/>")
        self.assertEqual(len(self.juliet.received()), 1)
        self.romeo.abort()
        (goodbye,) = self.juliet.received()
        self.assertIn("type='unavailable'", goodbye)

    def test_subscription(self) -> None:
        """A request to see somebody arrives as it should, written anew though it is."""
        self.romeo.send("<presence to='juliet@mantua.lit' type='subscribe'/>")
        (request,) = self.juliet.received()
        self.assertIn("from='romeo@verona.lit' to='juliet@mantua.lit' type='subscribe'", request)

    def test_request(self) -> None:
        """A request is answered, by a server as by its people."""
        self.romeo.send(f"<iq type='get' id='1' to='mantua.lit'><ping xmlns='{ns.PING}'/></iq>")
        (answer,) = self.romeo.received()
        self.assertIn("from='mantua.lit'", answer)

    def test_cut(self) -> None:
        """When the other server is gone, what is said to it comes back."""
        self.romeo.send("<message to='juliet@mantua.lit'><body>O</body></message>")
        self.juliet.received()
        self.network.abort("mantua.lit")
        self.romeo.send("<message to='juliet@mantua.lit' id='2'><body>O</body></message>")
        (answer,) = self.romeo.received()
        self.assertIn("remote-server-not-found", answer)

    def test_one_connection(self) -> None:
        """However much is said both ways, there is one connection in the end."""
        for _ in range(3):
            self.romeo.send("<message to='juliet@mantua.lit'><body>O</body></message>")
            self.juliet.send("<message to='romeo@verona.lit'><body>Ay</body></message>")
        self.assertEqual((len(self.romeo.received()), len(self.juliet.received())), (3, 3))
        self.assertEqual(
            [row.direction for row in self.verona.server.foreign_routes.state()], ["both"]
        )

    def test_let_go(self) -> None:
        """A pair that another node gets is let go when all has left, and the other server has ended
        its side: what comes by another stream comes behind it.
        """
        routes = self.verona.server.foreign_routes
        for n in range(3):
            self.romeo.send(f"<message to='juliet@mantua.lit' id='{n}'/>")
        letting = Deferred.fromCoroutine(routes.let_go("verona.lit", "mantua.lit"))
        self.network.settle()
        self.verona.clock.advance(0.1)
        self.successResultOf(letting)
        self.assertEqual(len(self.juliet.received()), 3)
        self.assertIsNone(routes.pairs["verona.lit", "mantua.lit"].carrier)
        self.romeo.send("<message to='juliet@mantua.lit' id='3'/>")
        self.assertEqual(len(self.juliet.received()), 1)
        self.successResultOf(Deferred.fromCoroutine(routes.let_go("verona.lit", "padua.lit")))

    def test_let_go_in_time(self) -> None:
        """A server that does not end its side, or that cannot be reached, is not waited for."""
        routes = self.verona.server.foreign_routes
        self.romeo.send("<message to='juliet@mantua.lit'/>")
        carrier = routes.pairs["verona.lit", "mantua.lit"].carrier
        assert carrier is not None
        self.patch(carrier, "close", lambda: None)
        letting = Deferred.fromCoroutine(routes.let_go("verona.lit", "mantua.lit"))
        self.verona.clock.pump([0.1] * round(LET_GO_S * 10 - 2))
        self.assertNoResult(letting)
        self.verona.clock.pump([0.1] * 4)
        self.successResultOf(letting)

    def test_administrator(self) -> None:
        """Streams can be listed, and closed by the name of their domain."""
        self.romeo.send("<message to='juliet@mantua.lit'><body>O</body></message>")
        self.juliet.received()
        routes = self.verona.server.foreign_routes
        (row,) = routes.state()
        self.assertEqual((row.local, row.remote, row.state), ("verona.lit", "mantua.lit", "open"))
        self.assertEqual((routes.close_to("padua.lit"), routes.close_to("mantua.lit")), (0, 1))
        self.network.settle()
        self.assertEqual([row.state for row in routes.state()], ["closed"])
        self.assertEqual(self.mantua.server.foreign_routes.state()[0].state, "closed")
        outcomes = [step.outcome for step in routes.history.attempts.of("mantua.lit")]
        self.assertEqual(outcomes[-2:], ["open", FORGOTTEN])

    def test_under_way(self) -> None:
        """What was said while the other side closed the stream arrives (SV-12)."""
        self.romeo.send("<message to='juliet@mantua.lit'/>")
        self.juliet.received()
        self.romeo.handler.dataReceived(b"<message to='juliet@mantua.lit'><body>O</body></message>")
        self.assertEqual(self.mantua.server.foreign_routes.close_to("verona.lit"), 1)
        self.assertEqual(len(self.juliet.received()), 1)
        self.assertTrue(all(line.lost for ends in self.network.lines for line in ends))


class BothAtOnceTests(SynchronousTestCase):
    def test_both_call(self) -> None:
        """When both call at the same moment, everything arrives, once and in order."""
        verona, mantua = House("verona.lit", romeo={}), House("mantua.lit", juliet={})
        network = federate(verona, mantua)
        (romeo,), (juliet,) = verona.connect("romeo"), mantua.connect("juliet")
        romeo.handler.dataReceived(b"<message to='juliet@mantua.lit/1' id='1'/>")
        juliet.handler.dataReceived(b"<message to='romeo@verona.lit/1' id='1'/>")
        network.settle()
        romeo.send("<message to='juliet@mantua.lit/1' id='2'/>")
        juliet.send("<message to='romeo@verona.lit/1' id='2'/>")
        for client in (romeo, juliet):
            ids = [stanza.partition("id='")[2][0] for stanza in client.received()]
            self.assertEqual(ids, ["1", "2"])
