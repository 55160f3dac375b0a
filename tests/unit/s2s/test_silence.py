"""Servers that take what is sent to them, and say nothing (SV-17)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.s2s.peers import BIDI, Elsewhere
from xmppd.explain import other_servers
from xmppd.explain.message import explain_message
from xmppd.s2s.silence import AGAIN_S, ANSWER_S, SILENT_S
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd.testing.house import House

VALID = "<db:result from='verona.lit' to='mantua.lit' type='valid'/>"


class SilenceTests(SynchronousTestCase):
    """Juliet, at Mantua, writes to Romeo at Verona."""

    def setUp(self) -> None:
        self.house = House("mantua.lit", juliet={})
        self.routes = self.house.server.foreign_routes
        elsewhere = Elsewhere(self.house)
        (self.juliet,) = self.house.connect("juliet")
        self.say()
        self.verona = elsewhere.last()
        self.verona.open(features=BIDI)
        self.verona.heard()
        self.verona.send(VALID)
        self.verona.heard()

    def say(self) -> None:
        """Something for Romeo."""
        self.juliet.send("<message to='romeo@verona.lit'><body>art thou there?</body></message>")

    def pinged(self, after_s: float) -> list[str]:
        """The ids of the pings that come to Verona in this time."""
        for _ in range(int(after_s)):
            self.house.clock.advance(1)
        stanzas = self.verona.stanzas()
        return [each.split(" id='")[1].split("'")[0] for each in stanzas if "urn:xmpp:ping" in each]

    def codes(self) -> list[str]:
        """What is wrong with Verona."""
        return [cause.code for cause in other_servers.causes(self.routes, "verona.lit")]

    def answer(self, id: str) -> None:
        """Verona answers a ping."""
        self.verona.send(f"<iq type='result' id='{id}' from='verona.lit' to='mantua.lit'/>")

    def test_does_not_answer(self) -> None:
        """A server that hangs is pinged after a minute, and named after another."""
        self.assertEqual(self.pinged(SILENT_S - 1), [])
        self.assertEqual(len(self.pinged(2)), 1)
        self.assertEqual(self.codes(), [])
        self.assertEqual(self.pinged(ANSWER_S), [])
        self.assertEqual(self.codes(), ["silent"])
        (state,) = (state for _, state in other_servers.states(self.routes, "verona.lit"))
        self.assertEqual(state, "open, but the peer does not answer")
        romeo, juliet = JID.parse("romeo@verona.lit"), JID.parse("juliet@mantua.lit/1")
        findings = done(explain_message(self.house.server, juliet, romeo, "chat"))
        self.assertIn("peer_silent", [finding.code for finding in findings if finding.decides])
        self.assertIn(
            ("ping from mantua.lit", "no answer"),
            [(step.what, step.outcome) for step in other_servers.steps(self.routes, "verona.lit")],
        )

    def test_answers(self) -> None:
        """A server that answers is well, and not pinged again until something is sent to it."""
        (id,) = self.pinged(SILENT_S + 2)
        self.answer(id)
        self.assertEqual(self.pinged(2 * SILENT_S + ANSWER_S), [])
        self.assertEqual(self.codes(), [])
        self.say()
        self.assertEqual(len(self.pinged(SILENT_S + 2)), 1)

    def test_back(self) -> None:
        """A server that was silent is well again as soon as anything comes from it."""
        self.pinged(SILENT_S + ANSWER_S + 2)
        self.assertEqual(self.codes(), ["silent"])
        self.verona.send("<presence from='romeo@verona.lit' to='juliet@mantua.lit'/>")
        self.pinged(1)
        self.assertEqual(self.codes(), [])

    def test_asked_again(self) -> None:
        """A silent server is asked again after some minutes, and not more often."""
        self.pinged(SILENT_S + ANSWER_S + 2)
        self.assertEqual(len(self.pinged(AGAIN_S + 1)), 1)

    def test_talks(self) -> None:
        """Whoever talks is not asked."""
        for _ in range(5):
            self.say()
            self.assertEqual(self.pinged(SILENT_S / 2), [])
            self.verona.send("<presence from='romeo@verona.lit' to='juliet@mantua.lit'/>")

    def test_ends_over_the_question(self) -> None:
        """A stream that breaks when it is asked keeps no other from being looked after."""
        carrier = self.routes.pairs["mantua.lit", "verona.lit"].carrier
        assert carrier is not None
        self.patch(carrier, "send", lambda wire: carrier.wire_is_gone())
        self.pinged(SILENT_S + 2)
        self.assertTrue(carrier.ended)
        self.assertTrue(self.routes._sweep.running)

    def test_stream_gone(self) -> None:
        """What was known of a stream ends with it."""
        self.pinged(SILENT_S + ANSWER_S + 2)
        self.verona.transport.abortConnection()
        self.pinged(AGAIN_S)
        self.assertEqual(self.codes(), [])
        self.assertEqual(len(self.routes._silence._unheard), 0)
