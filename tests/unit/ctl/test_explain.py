"""xmppctl explain."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.testing.house import House


class ExplainTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={"juliet": "both"}, juliet={"romeo": "both"})
        self.office = Office(self.house)
        self.house.connect("romeo/orchard", "juliet/balcony")

    def test_presence(self) -> None:
        """Each row has a sentence for people, and a code for programs."""
        names = {"owner": "romeo@montague.lit", "watcher": "juliet@montague.lit"}
        first, second, *_ = self.office.rows("explain presence", **names)
        self.assertEqual(
            first,
            {
                "code": "sees",
                "decides": False,
                "rule": "",
                "says": "juliet@montague.lit sees romeo@montague.lit, available at orchard.",
            },
        )
        self.assertEqual((second["code"], second["decides"]), ("subscription", True))

    def test_bare_name(self) -> None:
        """A name without a domain is that of an account here, as with user add; the name of a
        domain stays one.
        """
        rows = self.office.rows("explain presence", owner="romeo/orchard", watcher="juliet")
        self.assertEqual(rows[0]["code"], "sees")
        why = self.office.refusal("explain presence", owner="montague.lit", watcher="juliet")
        self.assertIn("is a domain", why)

    def test_message(self) -> None:
        """A type may be given; chat is meant without."""
        names = {"sender": "romeo@montague.lit", "to": "juliet@montague.lit"}
        self.assertEqual(self.office.rows("explain message", **names)[0]["code"], "delivered")
        names["type"] = "groupchat"
        self.assertEqual(self.office.rows("explain message", **names)[0]["code"], "bounced")

    def test_sent(self) -> None:
        """With its id one is told where a message is that was sent."""
        names = {"sender": "romeo@montague.lit", "to": "juliet@montague.lit", "id": "7"}
        (row,) = self.office.rows("explain message", **names)
        self.assertEqual((row["code"], row["decides"]), ("unknown", True))

    def test_refused(self) -> None:
        """A domain sees nobody, and what is no address is refused."""
        for owner, reason in (
            ("montague.lit", '"montague.lit" is a domain'),
            ("@", '"@" is not an address'),
        ):
            why = self.office.refusal("explain presence", owner=owner, watcher="a@montague.lit")
            self.assertIn(reason, why)
