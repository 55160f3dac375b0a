"""xmppctl top."""

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.ctl.offices import Office
from xmppd.testing.house import House


class TopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.office = Office(House("montague.lit", romeo={"juliet": "both"}, juliet={}))
        self.romeo, _ = self.office.house.connect("romeo", "juliet")
        self.office.house.clock.advance(60)

    def test_accounts(self) -> None:
        """Who causes most comes first; the rest is one row."""
        for _ in range(3):
            self.romeo.send("<presence/>")
        rows = self.office.rows("top presence", minutes="1")
        self.assertEqual([row["account"] for row in rows], ["romeo@montague.lit"])
        self.assertEqual((rows[0]["copies"], rows[0]["percent"]), (6, 100.0))
        rows = self.office.rows("top presence", rows="1")
        self.assertEqual([row["account"] for row in rows], ["romeo@montague.lit", "(others)"])
        self.assertEqual(sum(float(str(row["percent"])) for row in rows), 100.0)

    def test_software(self) -> None:
        """The same by what clients call themselves."""
        rows = self.office.rows("top presence", by="software")
        self.assertEqual([row["software"] for row in rows], [""])

    def test_quiet(self) -> None:
        """Where nobody said anything there is nothing to show."""
        self.assertEqual(self.office.rows("top presence", minutes="1"), [])

    def test_refused(self) -> None:
        """What cannot be counted is refused."""
        for minutes in ("0", "11", "x", "²"):
            self.assertIn("from 1 to 10", self.office.refusal("top presence", minutes=minutes))
