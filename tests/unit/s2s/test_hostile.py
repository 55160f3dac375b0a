"""What another server may try, in every state of a stream, and what it gets."""

from typing import cast

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.s2s.peers import BIDI, Caller, Elsewhere
from xmppd.resolve.finder import Finder
from xmppd.resolve.name_service import NameService
from xmppd.resolve.question import IResolverReactor
from xmppd.resolve.targets import Directions
from xmppd.s2s import server_stream
from xmppd.s2s.domain_pair import MAX_VERIFICATIONS_PER_PAIR
from xmppd.s2s.server_stream import MAX_PAIRS_PER_STREAM, MAX_VERIFICATIONS_PER_STREAM
from xmppd.stanza import ns
from xmppd.testing.house import House, house_config

VERONA = "verona.lit"
MESSAGE = "<message from='{sender}' to='{to}'><body>hi</body></message>"


class Hostile(SynchronousTestCase):
    """Mantua, and servers that say they are Verona."""

    def setUp(self) -> None:
        self.house = House("mantua.lit", juliet={}, romeo={})
        self.elsewhere = Elsewhere(self.house)
        (self.juliet,) = self.house.connect("juliet")

    def tearDown(self) -> None:
        """Whatever somebody tried, people here go on as if nothing were."""
        juliet, romeo = self.house.connect("juliet", "romeo")
        romeo.send("<message to='juliet@mantua.lit/1'><body>still here</body></message>")
        self.assertIn("still here", juliet.raw().decode())

    def call(self, **header: str) -> Caller:
        caller = Caller(self.house)
        caller.open(**header)
        return caller

    def verify(self, caller: Caller, verdict: str = "valid", sender: str = "verona.lit") -> None:
        """Verona itself is asked for the key, and answers."""
        verona = self.elsewhere.last(sender)
        if not verona.opened:
            verona.open()
        (asked,) = [s for s in verona.stanzas() if "verify" in s]
        id = asked.partition(" id='")[2].partition("'")[0]
        verona.send(f"<db:verify from='{sender}' to='mantua.lit' id='{id}' type='{verdict}'/>")

    def proved(self) -> Caller:
        """A server that is Verona, as its DNS says."""
        caller = self.call()
        caller.claim()
        self.verify(caller)
        self.assertIn("type='valid'", caller.heard())
        return caller

    def assert_ended(self, caller: Caller, condition: str) -> None:
        heard = caller.heard()
        self.assertIn(f"<{condition} xmlns='{ns.STREAM_ERRORS}'/>", heard)
        self.assertTrue(heard.endswith("</stream:stream>"), heard)
        caller.send("</stream:stream>")
        self.assertTrue(caller.lost)
        self.assertEqual(self.juliet.received(), [])


class SenderTests(Hostile):
    def test_before_anything_is_proved(self) -> None:
        """A stanza from somebody who has proved nothing ends the stream (SV-7)."""
        caller = self.call()
        caller.send(MESSAGE.format(sender="romeo@verona.lit", to="juliet@mantua.lit"))
        self.assert_ended(caller, "not-authorized")

    def test_while_it_is_being_proved(self) -> None:
        """So does one that does not wait for the answer."""
        caller = self.call()
        caller.claim()
        caller.send(MESSAGE.format(sender="romeo@verona.lit", to="juliet@mantua.lit"))
        self.assert_ended(caller, "not-authorized")

    def test_another_domain(self) -> None:
        """Nobody speaks for a domain that was not proved, nor for ours (SV-8)."""
        for sender in (
            "tybalt@capulet.lit",
            "juliet@mantua.lit",
            "x@a.verona.lit",
            "x@verona.lit.it",
        ):
            with self.subTest(sender):
                caller = self.proved()
                caller.send(MESSAGE.format(sender=sender, to="juliet@mantua.lit"))
                self.assert_ended(caller, "invalid-from")

    def test_no_domain_of_ours(self) -> None:
        """We pass nothing on to others (SV-8)."""
        caller = self.proved()
        caller.send(MESSAGE.format(sender="romeo@verona.lit", to="tybalt@capulet.lit"))
        self.assert_ended(caller, "host-unknown")

    def test_addresses(self) -> None:
        """Without both addresses a stanza ends the stream (SV-7)."""
        for stanza in (
            "<message to='juliet@mantua.lit'/>",
            "<message from='' to='juliet@mantua.lit'/>",
            "<message from='@verona.lit' to='juliet@mantua.lit'/>",
            "<message from='romeo@verona.lit'/>",
        ):
            with self.subTest(stanza):
                caller = self.proved()
                caller.send(stanza)
                self.assert_ended(caller, "improper-addressing")

    def test_malformed_address(self) -> None:
        """That one of its people mistypes an address is no reason to end the stream (SI-2)."""
        caller = self.proved()
        caller.send("<message from='romeo@verona.lit' to='a@b@mantua.lit' id='1'/>")
        self.assertFalse(caller.lost)
        verona = self.elsewhere.last()
        self.assertIn("<db:result", verona.heard())
        verona.send("<db:result from='verona.lit' to='mantua.lit' type='valid'/>")
        (answer,) = verona.stanzas()
        self.assertIn("jid-malformed", answer)
        self.assertIn("from='mantua.lit' to='romeo@verona.lit'", answer)

    def test_sender_in_disguise(self) -> None:
        """Whatever its start tag looks like, one sender is handed on: the one that was checked."""
        caller = self.proved()
        for tag in (
            "<message id=\" from='x@y'\" from='romeo@verona.lit' to='juliet@mantua.lit'>",
            "<message to='juliet@mantua.lit' from=\"romeo@verona.lit\">",
            "<message\n from = 'romeo@verona.lit' to='juliet@mantua.lit'>",
            "<message xmlns='jabber:server' from='romeo@verona.lit' to='juliet@mantua.lit'>",
            "<message a:from='x@y' from='romeo@verona.lit' xmlns:a='a' to='juliet@mantua.lit'>",
            "<message from='ROMEO@Verona.lit' to='juliet@mantua.lit'>",
        ):
            with self.subTest(tag):
                caller.send(f"{tag}<body from='nobody'>hi</body></message>")
                data = self.juliet.raw().decode()
                self.assertEqual(data.partition(">")[0].count(" from='romeo@verona.lit'"), 1)
                self.assertNotIn("jabber:server", data)


class DialbackTests(Hostile):
    def test_forged_key(self) -> None:
        """A key that the domain does not know ends the stream (SV-5)."""
        caller = self.call()
        caller.claim(key="forged")
        self.verify(caller, "invalid")
        heard = caller.heard()
        self.assertIn("<db:result from='mantua.lit' to='verona.lit' type='invalid'/>", heard)
        self.assertIn("not-authorized", heard)

    def test_forged_key_beside_a_good_one(self) -> None:
        """If another domain is proved already, the stream goes on without the forged one (SV-5)."""
        caller = self.proved()
        caller.claim(sender="capulet.lit", key="forged")
        self.verify(caller, "invalid", "capulet.lit")
        self.assertIn("<forbidden", caller.heard())
        caller.send(MESSAGE.format(sender="romeo@verona.lit", to="juliet@mantua.lit"))
        self.assertEqual(len(self.juliet.received()), 1)
        caller.send(MESSAGE.format(sender="tybalt@capulet.lit", to="juliet@mantua.lit"))
        self.assert_ended(caller, "invalid-from")

    def test_unsolicited_results(self) -> None:
        """Answers that nobody has asked for end a stream that was opened to us (SV-6)."""
        for said in (
            "<db:result from='verona.lit' to='mantua.lit' type='valid'/>",
            "<db:verify from='verona.lit' to='mantua.lit' id='1' type='valid'/>",
            "<db:result from='verona.lit' to='mantua.lit' type='invalid'/>",
        ):
            for begin in (self.call, self.proved):
                with self.subTest(said, begin=begin.__name__):
                    caller = begin()
                    caller.send(said)
                    self.assert_ended(caller, "policy-violation")

    def test_answer_from_another_stream(self) -> None:
        """A verdict counts only from the domain that was asked, for the key it was asked for."""
        caller = self.call()
        caller.claim()
        verona = self.elsewhere.last()
        verona.open()
        (asked,) = verona.stanzas()
        id = asked.partition(" id='")[2].partition("'")[0]
        for sender, to, stream_id in (
            ("capulet.lit", "mantua.lit", id),
            ("verona.lit", "padua.lit", id),
            ("verona.lit", "mantua.lit", "another"),
        ):
            verona.send(f"<db:verify from='{sender}' to='{to}' id='{stream_id}' type='valid'/>")
        self.assertEqual(caller.heard(), "")
        verona.send(f"<db:verify from='verona.lit' to='mantua.lit' id='{id}' type='valid'/>")
        self.assertIn("type='valid'", caller.heard())

    def test_replayed_verdict(self) -> None:
        """A verdict is good once: not for the next stream that claims the same."""
        self.proved()
        verona = self.elsewhere.last()
        other = self.call()
        other.claim(key="forged")
        (asked,) = verona.stanzas()
        self.assertIn("forged", asked)
        self.assertEqual(other.heard(), "")

    def test_replayed_key(self) -> None:
        """A key of ours is good for one stream between one pair of domains only (SV-5)."""
        keys = self.house.server.foreign_routes.context.keys
        key = keys.key("verona.lit", "mantua.lit", "s1")
        caller = self.call()
        for sender, id, verdict in (
            ("verona.lit", "s1", "valid"),
            ("verona.lit", "s2", "invalid"),
            ("capulet.lit", "s1", "invalid"),
        ):
            caller.send(f"<db:verify from='{sender}' to='mantua.lit' id='{id}'>{key}</db:verify>")
            self.assertIn(f"type='{verdict}'", caller.heard())

    def test_for_whom_we_do_not_serve(self) -> None:
        """Nothing is verified for others' domains, nor is ours given away; the stream goes on."""
        caller = self.call()
        caller.claim(to="padua.lit")
        caller.claim(sender="mantua.lit")
        caller.send("<db:verify from='verona.lit' to='padua.lit' id='1'>key</db:verify>")
        self.assertEqual(caller.heard().count("<item-not-found"), 3)
        self.assertEqual(self.elsewhere.called, {})
        self.assertFalse(caller.lost)

    def test_nobody_answers(self) -> None:
        """A domain that does not answer is given up in time, and the caller is told (SV-10)."""
        caller = self.call()
        caller.claim()
        self.house.clock.advance(31)
        self.assertIn("<remote-server-timeout", caller.heard())
        self.assertTrue(self.elsewhere.last().handler.stream_handler.ended)  # type: ignore[attr-defined]

    def test_many_claims(self) -> None:
        """One stream makes us call so many at a time, and no more (SV-13)."""
        self.elsewhere.there = False
        caller = self.call()
        for number in range(MAX_VERIFICATIONS_PER_STREAM + 5):
            caller.claim(sender=f"d{number}.lit")
        self.assertEqual(caller.heard().count("<resource-constraint"), 5)
        self.assertEqual(len(self.elsewhere.wanted), MAX_VERIFICATIONS_PER_STREAM)

    def test_many_claims_on_many_streams(self) -> None:
        """However many domains strangers claim, people here reach servers all the same (SV-13)."""
        config = house_config("mantua.lit", s2s={"max_pairs": 20})
        house = House("mantua.lit", config=config, juliet={})
        elsewhere = Elsewhere(house)
        elsewhere.there = False
        for number in range(40):
            caller = Caller(house, f"192.0.2.{number}")
            caller.open()
            caller.claim(sender=f"d{number}.lit")
            self.assertEqual("<resource-constraint" in caller.heard(), number >= 10)
        (juliet,) = house.connect("juliet")
        for number in range(10):
            juliet.send(f"<message to='romeo@verona{number}.lit'/>")
        self.assertEqual(juliet.raw(), b"")

    def test_private_addresses(self) -> None:
        """Nobody makes us call our neighbours by a claim (SV-16)."""
        reactor = MemoryReactorClock()
        network = cast(IResolverReactor, reactor)
        routes = self.house.server.foreign_routes
        finder = Finder(network, NameService(network), routes.history.attempts, Directions())
        routes.outgoing_connections.connector = finder
        for domain in ("127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"):
            with self.subTest(domain):
                caller = self.call()
                caller.claim(sender=domain)
                self.assertIn("<remote-server-not-found", caller.heard())
        self.assertEqual(reactor.tcpClients, [])

    def test_many_streams_for_one_domain(self) -> None:
        """Whoever claims one domain on many streams has it asked so many times at once."""
        self.elsewhere.there = False
        outgoing_connections = [self.call() for _ in range(MAX_VERIFICATIONS_PER_PAIR + 2)]
        for caller in outgoing_connections:
            caller.claim()
        refused = [
            caller for caller in outgoing_connections if "<resource-constraint" in caller.heard()
        ]
        self.assertEqual(len(refused), 2)
        self.assertEqual(len(self.elsewhere.wanted), 1)

    def test_the_same_claim_again(self) -> None:
        """To claim the same while it is looked into changes nothing."""
        caller = self.call()
        for _ in range(50):
            caller.claim()
        verona = self.elsewhere.last()
        verona.open()
        self.assertEqual(len(verona.stanzas()), 1)

    def test_many_pairs(self) -> None:
        """A stream carries so many pairs of domains (SV-13)."""
        self.patch(server_stream, "MAX_PAIRS_PER_STREAM", 3)
        self.assertGreater(MAX_PAIRS_PER_STREAM, 3)
        caller = self.proved()
        for number in range(3):
            caller.claim(sender=f"d{number}.lit")
            if f"d{number}.lit" in self.elsewhere.called:
                self.verify(caller, "valid", f"d{number}.lit")
        self.assertEqual(caller.heard().count("<resource-constraint"), 1)


class StreamTests(Hostile):
    def test_reset_in_every_state(self) -> None:
        """However far a stream has come when it breaks, nothing of it stays."""
        for begin in (lambda: Caller(self.house), self.call, self.proved):
            caller = begin()
            caller.claim(sender="capulet.lit")
            caller.transport.abortConnection()
            self.house.clock.advance(31)
        routes = self.house.server.foreign_routes
        for called in self.elsewhere.called.values():
            for peer in called:
                peer.transport.abortConnection()
        self.house.clock.advance(1000)
        self.assertEqual((routes.state(), routes.pairs), ([], {}))
        self.assertEqual(len(self.house.server.server_connections.handlers), 0)

    def test_header(self) -> None:
        """A header of somebody else's stream is told what is wrong with it."""
        namespaces = f"xmlns:stream='{ns.STREAM}' xmlns"
        for header, condition in (
            (f"{namespaces}='{ns.CLIENT}' to='mantua.lit' version='1.0'", "invalid-namespace"),
            (f"{namespaces}='{ns.SERVER}' to='padua.lit' version='1.0'", "host-unknown"),
            (f"{namespaces}='{ns.SERVER}' version='1.0'", "host-unknown"),
            (f"{namespaces}='{ns.SERVER}' to='mantua.lit'", "unsupported-version"),
            ("to='mantua.lit' version='1.0'", "bad-namespace-prefix"),
        ):
            with self.subTest(header):
                caller = Caller(self.house)
                caller.send(f"<stream:stream {header}>")
                self.assert_ended(caller, condition)

    def test_elements_out_of_time(self) -> None:
        """What is not for this point of the stream ends it."""
        for element in (
            f"<auth xmlns='{ns.SASL}' mechanism='EXTERNAL'>=</auth>",
            f"<starttls xmlns='{ns.TLS}'/>",
            f"<proceed xmlns='{ns.TLS}'/>",
            f"<success xmlns='{ns.SASL}'/>",
            "<stream:features/>",
            "<nonsense/>",
        ):
            with self.subTest(element):
                caller = self.call()
                caller.send(element)
                self.assert_ended(caller, "unsupported-stanza-type")

    def test_too_large(self) -> None:
        """A stranger's stanza is limited more tightly than a friend's (FR-4)."""
        large = "x" * 20_000
        caller = self.call()
        caller.send(f"<db:result from='verona.lit' to='mantua.lit'>{large}</db:result>")
        self.assert_ended(caller, "policy-violation")
        friend = self.proved()
        friend.send(
            f"<message from='a@verona.lit' to='juliet@mantua.lit'><body>{large}</body></message>"
        )
        self.assertEqual(len(self.juliet.received()), 1)
        friend.send("<message from='a@verona.lit' to='juliet@mantua.lit'><body>" + "x" * 600_000)
        self.assert_ended(friend, "policy-violation")

    def test_too_slow(self) -> None:
        """Who proves nothing in time is sent away (SV-13)."""
        caller = self.call()
        self.house.clock.advance(90)
        self.assertIn("connection-timeout", caller.heard())

    def test_too_many(self) -> None:
        """So many streams from one address, and so many who have proved nothing (SV-13)."""
        house = House(
            config=house_config(
                "mantua.lit", s2s={"max_streams_per_address": 2, "max_unauthenticated": 4}
            )
        )
        outgoing_connections = [Caller(house) for _ in range(3)]
        heard = [caller.open() for caller in outgoing_connections]
        self.assertIn("too many streams from your address", heard[2])
        others = [Caller(house, f"192.0.2.{number}").open() for number in range(100, 104)]
        self.assertIn("resource-constraint", others[-1])

    def test_proved_are_no_strangers(self) -> None:
        """Those who have proved a name do not count among those who have not."""
        self.proved()
        self.assertEqual(self.house.server.server_connections.unauthenticated, set())

    def test_who_talks_and_does_not_read(self) -> None:
        """Who makes us answer and does not read is cut off (SV-14)."""
        caller = self.call()
        caller.handler.pauseProducing()
        for _ in range(1_000):
            caller.send("<db:verify from='verona.lit' to='mantua.lit' id='1'>key</db:verify>")
            if caller.lost:
                break
        self.assertTrue(caller.lost)

    def test_blocked(self) -> None:
        """A blocked domain is told so, and nothing goes to it (SV-4)."""
        config = house_config("mantua.lit", s2s={"domain": [{"name": VERONA, "block": True}]})
        house = House("mantua.lit", config=config, juliet={})
        elsewhere = Elsewhere(house)
        self.assertIn("policy-violation", Caller(house).open())
        caller = Caller(house)
        caller.open(sender="innocent.lit")
        caller.claim()
        self.assertIn("<policy-violation", caller.heard())
        (juliet,) = house.connect("juliet")
        juliet.send("<message to='romeo@verona.lit' id='m'><body>hi</body></message>")
        self.assertIn("<not-allowed", juliet.raw().decode())
        self.assertEqual(elsewhere.called, {})

    def test_blocked_meanwhile(self) -> None:
        """Streams with a domain that is blocked from now on are closed (SV-4)."""
        caller = self.proved()
        config = house_config("mantua.lit", s2s={"domain": [{"name": VERONA, "block": True}]})
        self.house.server.reload(config)
        self.assertTrue(caller.heard().endswith("</stream:stream>"))
        self.juliet.send("<message to='romeo@verona.lit' id='m'><body>hi</body></message>")
        self.assertIn("<not-allowed", self.juliet.raw().decode())

    def test_idle(self) -> None:
        """A stream that carries nothing for long is closed without a word of blame (SV-11)."""
        caller = self.proved()
        self.house.clock.pump([100.0] * 8)
        heard = caller.heard()
        self.assertTrue(heard.endswith("</stream:stream>"))
        self.assertNotIn("stream:error", heard)


class BidirectionalTests(Hostile):
    def proved(self) -> Caller:
        caller = self.call()
        caller.send(f"<bidi xmlns='{ns.BIDI}'/>")
        caller.claim()
        self.verify(caller)
        self.assertIn("type='valid'", caller.heard())
        return caller

    def test_answer_goes_back_the_same_way(self) -> None:
        """What we have for a domain goes by the stream that has proved it (XEP-0288)."""
        caller = self.proved()
        self.juliet.send("<message to='romeo@verona.lit'><body>hi</body></message>")
        (message,) = caller.stanzas()
        self.assertIn("from='juliet@mantua.lit/1'", message)

    def test_nothing_for_others(self) -> None:
        """What is for another domain does not go there."""
        caller = self.proved()
        self.juliet.send("<message to='tybalt@capulet.lit'><body>hi</body></message>")
        self.assertEqual(caller.stanzas(), [])

    def test_too_late(self) -> None:
        """It is asked for before anything is proved."""
        caller = super().proved()
        caller.send(f"<bidi xmlns='{ns.BIDI}'/>")
        self.assert_ended(caller, "unsupported-stanza-type")

    def test_offered(self) -> None:
        """It is offered to everybody."""
        self.assertIn(BIDI, Caller(self.house).open())

    def test_ping(self) -> None:
        """A peer that only listens is asked now and then whether it is there."""
        caller = self.proved()
        clock = self.house.clock
        for _ in range(3):
            clock.pump([15.0] * 30)
            self.house.connect("romeo")[0].send("<message to='romeo@verona.lit'/>")
            clock.pump([15.0] * 12)
            self.assertIn("urn:xmpp:ping", caller.heard())
            caller.send("<iq type='result' id='1' from='verona.lit' to='mantua.lit'/>")
        clock.pump([15.0] * 30)
        self.house.connect("romeo")[0].send("<message to='romeo@verona.lit'/>")
        clock.pump([15.0] * 16)
        self.assertIn("connection-timeout", caller.heard())
