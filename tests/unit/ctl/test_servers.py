"""Commands on other servers."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.desks import Office
from xmppd.testing import House, federate


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
        self.assertRegex(sentence, "^streams with mantua.lit that were closed: [12]$")
        self.verona.network.settle()
        self.assertEqual(self.office.rows("s2s list", domain="mantua.lit")[1:], [])
        self.say("mantua.lit")
        states = [row["state"] for row in self.office.rows("s2s list", domain="mantua.lit")]
        self.assertIn("open", states)

    def test_why(self) -> None:
        """Each step towards a domain is told with its outcome."""
        self.say("elsewhere.lit")
        outcomes = [row["outcome"] for row in self.office.rows("s2s why", domain="elsewhere.lit")]
        self.assertEqual(outcomes[-1], "there is no such house")

    def test_nothing_tried(self) -> None:
        """Of a domain that nobody wanted there is nothing to tell; and a domain must be one."""
        refusal = self.office.refusal("s2s why", domain="elsewhere.lit")
        self.assertIn("nothing was tried", refusal)
        self.assertIn("is no domain", self.office.refusal("s2s close", domain="a..b"))
