"""Commands on other servers."""

from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from tests.unit.s2s.peers import Caller
from xmppd.explain.other_servers import of_failure, of_refusal
from xmppd.resolve.attempts import MAX_DOMAINS
from xmppd.testing.house import House, house_config
from xmppd.testing.network import federate


class ServerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.verona, self.mantua = House("verona.lit", romeo={}), House("mantua.lit", juliet={})
        federate(self.verona, self.mantua)
        self.office = Office(self.verona)
        (self.romeo,) = self.verona.connect("romeo")

    def say(self, domain: str) -> None:
        """Romeo says something to somebody elsewhere."""
        self.romeo.send(f"<message to='juliet@{domain}'><body>hear</body></message>")

    def test_list(self) -> None:
        """Streams with other servers are listed, all or those with one."""
        self.assertEqual(self.office.rows("s2s list"), [])
        self.say("mantua.lit")
        remotes = {row["remote"] for row in self.office.rows("s2s list", domain="Mantua.lit")}
        self.assertEqual(remotes, {"mantua.lit"})
        (row,) = [row for row in self.office.rows("s2s list") if row["direction"] != "in"]
        self.assertEqual((row["local"], row["state"]), ("verona.lit", "open"))
        self.assertEqual(self.office.rows("s2s list", domain="elsewhere.lit"), [])

    def test_close(self) -> None:
        """Streams with another server are closed, and the next stanza opens a new one."""
        self.say("mantua.lit")
        sentence = self.office.says("s2s close", domain="mantua.lit")
        self.assertRegex(sentence, "^closed [12] streams? with mantua.lit$")
        self.verona.network.settle()
        self.assertEqual(self.office.rows("s2s list", domain="mantua.lit")[1:], [])
        self.say("mantua.lit")
        states = [row["state"] for row in self.office.rows("s2s list", domain="mantua.lit")]
        self.assertIn("open", states)

    def test_why(self) -> None:
        """Each step towards a domain is told with its outcome."""
        self.say("elsewhere.lit")
        *_, tried, state, remedy = self.office.rows("s2s why", domain="elsewhere.lit")
        self.assertEqual(tried["outcome"], "there is no such house")
        self.assertEqual(
            (state["step"], state["what"], state["outcome"]),
            (
                "state",
                "verona.lit to elsewhere.lit",
                "failed: there is no such house; 1 failure; tried again in 2 s",
            ),
        )
        self.assertEqual((remedy["step"], remedy["what"]), ("remedy", "no-such-server"))
        self.assertIn("xmppctl s2s close elsewhere.lit", str(remedy["outcome"]))
        self.verona.clock.pump([1.0] * 10)  # it is forgotten that it has failed, and not why
        *_, tried, remedy = self.office.rows("s2s why", domain="elsewhere.lit")
        self.assertEqual((tried["step"], remedy["what"]), ("stream", "no-such-server"))

    def test_why_in_a_sentence(self) -> None:
        """The cause comes first, as a sentence with what to do; when it is mended and somebody has
        said so, it is a cause no more.
        """
        self.say("elsewhere.lit")
        sentence, *_ = self.office.replies("s2s why", domain="elsewhere.lit")
        self.assertEqual(
            str(sentence).partition(": check")[0],
            "verona.lit cannot reach elsewhere.lit (there is no such house): DNS has no "
            "XMPP server for elsewhere.lit",
        )
        self.office.says("s2s close", domain="elsewhere.lit")
        *_, last = self.office.replies("s2s why", domain="elsewhere.lit")
        assert isinstance(last, dict)
        self.assertEqual((last["step"], last["outcome"]), ("state", "closed"))
        self.say("elsewhere.lit")
        self.assertIn(
            "cannot reach", str(self.office.replies("s2s why", domain="elsewhere.lit")[0])
        )

    def test_why_slow(self) -> None:
        """A server that is there and does not read."""
        self.say("mantua.lit")
        self.verona.network.settle()
        pair = self.verona.server.foreign_routes.pairs["verona.lit", "mantua.lit"]
        assert pair.carrier is not None
        pair.carrier.wire_is_full()
        self.say("mantua.lit")
        sentence, *_, remedy = self.office.replies("s2s why", domain="mantua.lit")
        self.assertTrue(str(sentence).startswith("mantua.lit reads slowly (1 stanza waiting)"))
        assert isinstance(remedy, dict)
        self.assertEqual(remedy["what"], "slow")
        pair.carrier.wire_is_free()
        rows = self.office.rows("s2s why", domain="mantua.lit")
        self.assertEqual((rows[-1]["step"], rows[-1]["outcome"]), ("state", "open"))

    def test_why_refused_there(self) -> None:
        """A server that blocks us says so by a stream error, which is told apart from others."""
        cause = of_failure(
            "the other server closed the stream: policy-violation", "verona.lit", "mantua.lit"
        )
        self.assertEqual(cause.code, "refused-there")
        cause = of_failure(
            "the other server closed the stream: undefined-condition", "verona.lit", "mantua.lit"
        )
        self.assertEqual(cause.code, "hung-up")

    def test_why_well(self) -> None:
        """Of a server with which all is well there is no remedy; both directions are told."""
        self.say("mantua.lit")
        self.verona.network.settle()
        rows = Office(self.mantua).rows("s2s why", domain="verona.lit")
        calls = [
            str(row["outcome"]) for row in rows if str(row["what"]).startswith("a connection from")
        ]
        self.assertEqual(calls, ["accepted: dialback"])
        rows = self.office.rows("s2s why", domain="mantua.lit")
        self.assertEqual((rows[-1]["step"], rows[-1]["outcome"]), ("state", "open"))

    def test_one_line(self) -> None:
        """The log has one line for a server that is not reached, with the reason; those of the
        same minute are counted in the next.
        """
        with capturedLogs() as log:
            for _ in range(3):
                self.say("elsewhere.lit")
                pair = self.verona.server.foreign_routes.pairs["verona.lit", "elsewhere.lit"]
                self.verona.clock.advance(pair.retry_in_s)
            self.verona.clock.advance(60)
            self.say("elsewhere.lit")
        lines = [event for event in log if event.get("remote") == "elsewhere.lit"]
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[0]["more"], "")
        self.assertIn("left out: 2", lines[1]["more"])
        self.assertEqual(lines[0]["why"], "there is no such house")

    def test_why_blocked(self) -> None:
        """That a domain is blocked is told, and who called in its name all the same."""
        remote = [{"name": "mantua.lit", "block": True}]
        config = house_config("verona.lit", s2s={"domain": remote})
        verona, mantua = House("verona.lit", config=config), House("mantua.lit", juliet={})
        federate(verona, mantua)
        office = Office(verona)
        row, remedy = office.rows("s2s why", domain="mantua.lit")
        self.assertEqual((row["step"], row["what"]), ("policy", "s2s.domain"))
        self.assertEqual((remedy["step"], remedy["what"]), ("remedy", "blocked"))
        (juliet,) = mantua.connect("juliet")
        juliet.send("<message to='romeo@verona.lit'/>")
        mantua.network.settle()
        rows = office.rows("s2s why", domain="mantua.lit")
        self.assertEqual([row["step"] for row in rows], ["refuse", "policy", "remedy"])
        self.assertIn("blocks", str(rows[0]["outcome"]))

    def test_why_turned_away(self) -> None:
        """Who called and was not believed is told, apart from what we have tried ourselves."""
        for said, outcome, code in (
            (
                "<db:result from='capulet.lit' to='verona.lit'>key</db:result>",
                "cannot be asked",
                "cannot-be-asked",
            ),
            (
                "<db:result from='capulet.lit' to='padua.lit'>key</db:result>",
                "item-not-found",
                "not-served",
            ),
        ):
            with self.subTest(outcome):
                caller = Caller(self.verona)
                caller.open(sender="capulet.lit", to="verona.lit")
                caller.send(said)
                self.verona.network.settle()
                rows = self.office.rows("s2s why", domain="capulet.lit")
                self.assertIn("refuse", [row["step"] for row in rows])
                outcomes = [str(row["outcome"]) for row in rows if row["step"] == "refuse"]
                self.assertIn(outcome, outcomes[-1])
                self.assertIn(code, [row["what"] for row in rows if row["step"] == "remedy"])

    def test_why_hung_up(self) -> None:
        """A server that comes and goes without having proved anything is told, with what it said;
        one that only asks about a key is not.
        """
        caller = Caller(self.verona)
        caller.open(sender="capulet.lit", to="verona.lit")
        caller.send("</stream:stream>")
        self.verona.network.settle()
        (call, remedy) = self.office.rows("s2s why", domain="capulet.lit")
        self.assertIn("before it proved its name", str(call["outcome"]))
        self.assertEqual(remedy["what"], "hung-up")
        caller = Caller(self.verona)
        caller.open(sender="padua.lit", to="verona.lit")
        caller.send("<db:verify from='padua.lit' to='verona.lit' id='1'>key</db:verify>")
        caller.send("</stream:stream>")
        self.verona.network.settle()
        self.assertIn("has not tried to reach", self.office.refusal("s2s why", domain="padua.lit"))

    def test_every_remedy(self) -> None:
        """Whatever the reason, there is a remedy of its code, and the domain stands in it."""
        for why, code in (
            ("the certificate is for other names", "their-certificate"),
            ("dialback: not-authorized, the certificate is invalid: x", "their-certificate"),
            ("EXTERNAL: the other server sent no certificate", "their-certificate"),
            ("no authority is trusted", "no-authorities"),
            ("TLS failed: tlsv1 alert unknown ca", "our-certificate"),
            ("this server does not serve host-unknown: this domain", "not-served"),
            ("s2s.domain blocks it", "blocked"),
            ("dialback: policy-violation", "no-tls"),
            ("a new kind of trouble", "other"),
        ):
            cause = of_refusal(why, "capulet.lit")
            self.assertEqual(cause.code, code, why)
            self.assertNotIn("{", cause.says)

    def test_strangers_keep_nothing_out(self) -> None:
        """However many names strangers call themselves, what we have tried is told still."""
        self.say("elsewhere.lit")
        before = self.office.rows("s2s why", domain="elsewhere.lit")
        for number in range(MAX_DOMAINS + 1):
            self.verona.server.foreign_routes.turned_away(f"d{number}.lit", "192.0.2.1", "no")
        self.assertEqual(self.office.rows("s2s why", domain="elsewhere.lit"), before)

    def test_nothing_tried(self) -> None:
        """Of a domain that nobody wanted there is nothing to tell; and a domain must be one."""
        refusal = self.office.refusal("s2s why", domain="elsewhere.lit")
        self.assertIn("has not tried to reach", refusal)
        self.assertIn('"a..b" is not a domain', self.office.refusal("s2s close", domain="a..b"))
