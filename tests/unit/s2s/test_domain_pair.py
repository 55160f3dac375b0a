"""Queues for other servers, and the streams that are made for them."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.s2s.peers import BIDI, Elsewhere
from xmppd.events import OWNER, On
from xmppd.resolve.lost import no_stream, not_found
from xmppd.routing.remote_server import RemoteServerLost
from xmppd.s2s.foreign_routes import MAX_WAITING_FOR_ONE
from xmppd.session.backlog import OVERHEAD_BYTES
from xmppd.stanza import JID, Message, ns
from xmppd.testing.house import House, house_config

VALID = "<db:result from='verona.lit' to='mantua.lit' type='valid'/>"


class PairTests(SynchronousTestCase):
    """Mantua, where Juliet has something to say to Romeo at Verona."""

    def setUp(self) -> None:
        config = house_config(
            "mantua.lit",
            "padua.lit",
            s2s={"max_queued_stanzas": 5, "max_queue_age_s": 20.0, "connect_timeout_s": 10.0},
        )
        self.house = House("mantua.lit", config=config, juliet={}, tybalt={})
        self.elsewhere = Elsewhere(self.house)
        self.routes = self.house.server.foreign_routes
        self.lost: list[RemoteServerLost] = []
        self.house.server.events.put(On(RemoteServerLost, self.lost.append), OWNER)
        (self.juliet,) = self.house.connect("juliet")

    def say(self, *texts: str, to: str = "romeo@verona.lit") -> None:
        for text in texts:
            self.juliet.send(f"<message to='{to}' id='{text}'><body>{text}</body></message>")

    def bounced(self) -> list[str]:
        """The ids and conditions of what came back."""
        return [
            f"{stanza.partition(' id=')[2][1:].partition(chr(39))[0]} {condition}"
            for stanza in self.juliet.received()
            for condition in ("remote-server-not-found", "remote-server-timeout",
                              "resource-constraint")
            if f"<{condition} " in stanza
        ]  # fmt: skip

    def prove(self, features: str = "") -> None:
        """Verona takes what is said."""
        verona = self.elsewhere.last()
        self.assertIn("to='verona.lit'", verona.open(features=features))
        self.assertIn("<db:result from='mantua.lit' to='verona.lit'>", verona.heard())
        verona.send(VALID)

    # -- in order -------------------------------------------------------------------------------

    def test_in_order(self) -> None:
        """What was said while the stream was made leaves first, in its order (SV-9)."""
        self.say("1", "2")
        self.prove()
        self.say("3")
        self.assertEqual(
            [stanza.partition("<body>")[2][0] for stanza in self.elsewhere.last().stanzas()],
            ["1", "2", "3"],
        )
        self.assertEqual(len(self.elsewhere.called["verona.lit"]), 1)

    def test_slow_reader(self) -> None:
        """While the wire is full stanzas wait here, and leave when it is free (SV-9)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        verona.handler.pauseProducing()
        self.say("2", "3")
        self.assertEqual(len(verona.stanzas()), 1)
        verona.handler.resumeProducing()
        self.say("4")
        self.assertEqual(len(verona.stanzas()), 3)

    def test_reader_who_never_reads(self) -> None:
        """A peer that does not read for so long is cut off, and what waited comes back (SV-9)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        verona.handler.pauseProducing()
        self.say("2")
        self.house.clock.pump([1.0] * 22)
        self.assertTrue(verona.lost)
        self.assertEqual(self.bounced(), ["2 remote-server-timeout"])

    def test_bounds(self) -> None:
        """What finds no room in the queue is answered at once; the others wait on (SV-9)."""
        self.elsewhere.there = False
        self.say(*"123456")
        self.assertEqual(self.bounced(), ["6 resource-constraint"])

    def test_bounds_in_bytes(self) -> None:
        """So many bytes wait, their cost included; there is room again when they have left."""
        self.routes.use(replace(self.routes.settings, max_queued_bytes=1_500))
        self.elsewhere.there = False
        self.say(*"1234")
        self.assertEqual(self.bounced(), ["3 resource-constraint", "4 resource-constraint"])
        pair = self.routes.pairs["mantua.lit", "verona.lit"]
        self.assertGreater(pair.backlog.size_bytes, 2 * OVERHEAD_BYTES)
        pair.backlog.take()
        self.say("5")
        self.assertEqual((len(pair.backlog), self.bounced()), (2, []))

    # -- failures -------------------------------------------------------------------------------

    def test_not_found(self) -> None:
        """There is no such server: everything that waited is answered, once (SV-10, SV-11)."""
        self.elsewhere.there = False
        self.say("1", "2")
        self.juliet.send("<presence to='romeo@verona.lit'/>")
        self.juliet.send("<iq type='result' id='3' to='romeo@verona.lit'/>")
        self.elsewhere.why = not_found("no such name")
        self.elsewhere.wanted[0][1].callback(None)
        self.assertEqual(self.bounced(), ["1 remote-server-not-found", "2 remote-server-not-found"])
        self.assertEqual(self.lost, [RemoteServerLost("mantua.lit", "verona.lit")])

    def test_no_answer(self) -> None:
        """There is one, which does not come to a stream in time (SV-10)."""
        self.say("1")
        self.house.clock.advance(11)
        self.assertEqual(self.bounced(), ["1 remote-server-timeout"])
        self.assertTrue(self.elsewhere.last().heard().endswith("</stream:stream>"))

    def test_no_verdict(self) -> None:
        """It comes to a stream, and does not say in time whether it takes our name: the reason is
        dialback (SV-10).
        """
        self.say("1")
        self.elsewhere.last().open()
        self.house.clock.advance(11)
        self.assertEqual(self.bounced(), ["1 remote-server-timeout"])
        why = self.routes.pairs["mantua.lit", "verona.lit"].why
        assert why is not None
        self.assertEqual(
            why.text, "the other server did not verify this server's name by dialback in time"
        )

    def test_growing_delay(self) -> None:
        """After a failure nobody is called for a while, each time twice as long (SV-10)."""
        self.elsewhere.why = no_stream("refused")
        delays = []
        for _ in range(4):
            tried = self.house.clock.seconds()
            self.say("1")
            self.assertEqual(self.bounced(), ["1 remote-server-timeout"])
            pair = self.routes.pairs["mantua.lit", "verona.lit"]
            calls = len(self.routes.history.attempts.of("verona.lit"))
            while len(self.routes.history.attempts.of("verona.lit")) == calls:
                self.house.clock.advance(1)
                self.say("again")
            delays.append(self.house.clock.seconds() - tried)
            self.juliet.raw()
            self.house.clock.advance(pair._delay_s)
        self.assertEqual(delays[0], 2.0)
        self.assertEqual(sorted(delays), delays)
        self.assertGreater(delays[-1], 8.0)

    def test_every_ending_before_it_is_open(self) -> None:
        """However a stream ends that is not open yet, what waits is answered (SV-10)."""
        offer = f"<stream:stream xmlns:stream='{ns.STREAM}' xmlns="
        opened = f"{offer}'{ns.SERVER}' version='1.0' id='1'>"
        unknown = f"<stream:error><host-unknown xmlns='{ns.STREAM_ERRORS}'/></stream:error>"
        for said, condition in (
            ("", "timeout"),
            ("nonsense", "timeout"),
            (f"{offer}'{ns.CLIENT}' version='1.0'>", "timeout"),
            (opened, "timeout"),
            (f"{opened}{unknown}</stream:stream>", "not-found"),
            (f"{opened}<stream:features/>", "timeout"),
        ):
            with self.subTest(said):
                self.say("1")
                verona = self.elsewhere.last()
                verona.send(said)
                if not verona.handler.stream_handler.ended:  # type: ignore[attr-defined]
                    verona.transport.abortConnection()
                self.assertEqual(self.bounced(), [f"1 remote-server-{condition}"])
                self.house.clock.pump([100.0] * 20)
                (self.juliet,) = self.house.connect("juliet")

    def test_dialback_refused(self) -> None:
        """Why the other side does not take our word is told to whoever waits (SV-10)."""
        unknown = f"<error><item-not-found xmlns='{ns.STANZA_ERRORS}'/></error>"
        for said, condition in (
            ("type='invalid'/>", "remote-server-timeout"),
            (f"type='error'>{unknown}</db:result>", "remote-server-not-found"),
            ("type='error'/>", "remote-server-timeout"),
        ):
            with self.subTest(said):
                self.say("1")
                verona = self.elsewhere.last()
                verona.open()
                verona.send(f"<db:result from='verona.lit' to='mantua.lit' {said}")
                self.assertEqual(self.bounced(), [f"1 {condition}"])
                self.house.clock.pump([100.0] * 20)
                (self.juliet,) = self.house.connect("juliet")

    def test_answers_nobody_asked_for(self) -> None:
        """A result for another pair, or before its time, proves nothing (SV-6)."""
        self.say("1")
        verona = self.elsewhere.last()
        verona.send("<stream:stream xmlns='jabber:server' version='1.0' id='1' xmlns:db='"
                    f"{ns.DIALBACK}' xmlns:stream='{ns.STREAM}'>{VALID}")  # fmt: skip
        verona.send("<stream:features/>")
        for sender, to in (("capulet.lit", "mantua.lit"), ("verona.lit", "padua.lit")):
            verona.send(f"<db:result from='{sender}' to='{to}' type='valid'/>")
        self.assertNotIn("<message", verona.heard())
        verona.send(VALID)
        self.assertIn("<message", verona.heard())

    def test_stanzas_on_a_one_way_stream(self) -> None:
        """The stream is ours to speak on: what comes back on it ends it (SV-8)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        verona.heard()
        verona.send("<message from='romeo@verona.lit' to='juliet@mantua.lit'/>")
        self.assertIn("not-authorized", verona.heard())
        self.assertEqual(self.juliet.received(), [])

    # -- both ways, and for several -------------------------------------------------------------

    def test_both_ways(self) -> None:
        """If the peer can, it answers on the same stream (XEP-0288)."""
        self.say("1")
        self.prove(BIDI)
        verona = self.elsewhere.last()
        verona.send("<message from='romeo@verona.lit' to='juliet@mantua.lit'/>")
        self.assertEqual(len(self.juliet.received()), 1)
        self.assertEqual([row.direction for row in self.routes.state()], ["both"])
        verona.send("<message from='romeo@capulet.lit' to='juliet@mantua.lit'/>")
        self.assertIn("invalid-from", verona.heard())

    def test_several_of_ours(self) -> None:
        """Another domain of ours goes by the same connection, once it has proved itself (SV-2)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        verona.heard()
        self.house.add("friar@padua.lit")
        friar = self.house.bind("friar@padua.lit")
        friar.send("<message to='romeo@verona.lit'><body>2</body></message>")
        self.assertIn("<db:result from='padua.lit' to='verona.lit'>", verona.heard())
        verona.send("<db:result from='verona.lit' to='padua.lit' type='valid'/>")
        self.assertIn("from='friar@padua.lit/1'", verona.heard())
        self.assertEqual(len(self.elsewhere.called["verona.lit"]), 1)

    def test_several_of_ours_refused(self) -> None:
        """If the peer does not want that, the other domain gets a connection of its own (SV-2)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        self.house.add("friar@padua.lit")
        friar = self.house.bind("friar@padua.lit")
        friar.send("<message to='romeo@verona.lit'><body>2</body></message>")
        verona.heard()
        verona.send("<db:result from='verona.lit' to='padua.lit' type='error'/>")
        own = self.elsewhere.last()
        self.assertIsNot(own, verona)
        own.open()
        own.send("<db:result from='verona.lit' to='padua.lit' type='valid'/>")
        self.assertIn("<body>2</body>", own.heard())
        self.say("3")
        self.assertIn("<body>3</body>", verona.heard())

    # -- coming and going -----------------------------------------------------------------------

    def test_idle(self) -> None:
        """An idle stream is closed; nobody is lost, and the next stanza makes another (SV-11)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        self.house.clock.pump([100.0] * 9)
        self.assertTrue(verona.heard().endswith("</stream:stream>"))
        self.assertEqual((self.lost, self.routes.pairs), ([], {}))
        (self.juliet,) = self.house.connect("juliet")
        self.say("2")
        self.assertIsNot(self.elsewhere.last(), verona)

    def test_stream_breaks(self) -> None:
        """When an open stream breaks, what waited for it goes by the next one (SV-12)."""
        self.say("1")
        self.prove()
        verona = self.elsewhere.last()
        verona.handler.pauseProducing()
        self.say("2")
        verona.transport.abortConnection()
        self.assertEqual(self.lost, [])
        self.prove()
        self.assertIn("<body>2</body>", self.elsewhere.last().heard())

    def test_thousands_of_domains(self) -> None:
        """Who writes to thousands of domains fills up no more than is allowed, and others go on."""
        self.elsewhere.there = False
        for number in range(2_000):
            self.say("1", to=f"romeo@d{number}.lit")
        self.assertEqual(len(self.elsewhere.wanted), 100)
        (tybalt,) = self.house.connect("tybalt")
        tybalt.send("<message to='romeo@verona.lit'/>")
        self.elsewhere.why = not_found("no such name")
        for domain, turn in self.elsewhere.wanted[:2]:
            self.assertNotEqual(domain, "verona.lit")
            turn.callback(None)
        self.assertIn("verona.lit", [domain for domain, _ in self.elsewhere.wanted])

    def test_one_who_wants_much(self) -> None:
        """One who wants thousands of servers is told so, and what he wants others get in time."""
        self.elsewhere.there = False
        for number in range(2_000):
            self.say("1", to=f"romeo@d{number}.lit")
        self.assertEqual(len(self.routes.pairs), 100 + MAX_WAITING_FOR_ONE)
        self.assertIn("resource-constraint", self.juliet.raw().decode())
        (tybalt,) = self.house.connect("tybalt")
        tybalt.send("<message to='romeo@d1000.lit'/><message to='romeo@verona.lit'/>")
        self.elsewhere.why = not_found("no such name")
        for _, turn in self.elsewhere.wanted[:4]:
            turn.callback(None)
        wanted = [domain for domain, _ in self.elsewhere.wanted]
        self.assertIn("d1000.lit", wanted)
        self.assertIn("verona.lit", wanted)

    def test_pairs_are_limited(self) -> None:
        """So many pairs of domains there may be at a time (SV-13)."""
        config = house_config("mantua.lit", s2s={"max_pairs": 2})
        house = House("mantua.lit", config=config, juliet={})
        elsewhere = Elsewhere(house)
        elsewhere.there = False
        (juliet,) = house.connect("juliet")
        for number in range(3):
            juliet.send(f"<message to='romeo@d{number}.lit'/>")
        self.assertIn("<resource-constraint", juliet.raw().decode())
        self.assertEqual(len(house.server.foreign_routes.pairs), 2)

    def test_nothing_is_passed_on(self) -> None:
        """A stanza of somebody who is not ours does not leave by us (SV-8)."""
        passed_on = Message.make(JID.parse("romeo@verona.lit"), JID.parse("x@capulet.lit"))
        self.assertFalse(self.house.server.routing_table.route(passed_on))
        self.assertEqual(self.elsewhere.called, {})

    def test_stop(self) -> None:
        """When the server stops, what waits for streams that are not there comes back first."""
        self.elsewhere.there = False
        self.say("1")
        self.routes.give_back()
        self.assertEqual(self.bounced(), ["1 remote-server-timeout"])
        stopping = self.house.stop()
        self.juliet.abort()
        self.successResultOf(stopping)

    def test_own_request(self) -> None:
        """A request of the server itself hears that it came back (IQ-14)."""
        self.elsewhere.why = not_found("no such name")
        verona, mantua = JID.parse("verona.lit"), JID.parse("mantua.lit")
        ping = f"<ping xmlns='{ns.PING}'/>".encode()
        answer = self.house.server.requests.ask(verona, mantua, ping, timeout_s=5.0)
        found = self.successResultOf(answer)
        self.assertEqual(found and found.type, "error")
