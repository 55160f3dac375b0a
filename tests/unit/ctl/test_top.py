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

    def test_stages(self) -> None:
        """What has come to the stages in the last minute, and how long they were at work."""
        house = self.office.house
        for _ in range(60):
            house.clock.advance(1)
        for number in range(6):
            self.romeo.send(
                "<message to='juliet@montague.lit' type='chat'><body>hi</body></message>"
            )
            self.romeo.send(f"<presence><status>{number}</status></presence>")
        self.romeo.send("<iq type='get' id='1' to='montague.lit'><query xmlns='odd'/></iq>")
        house.server.stage_samples.seen["MessageRouter"] += 3
        house.server.stage_samples.seen["other"] += 1
        for _ in range(12):
            house.clock.advance(1)
        rows = {row["stage"]: row for row in self.office.rows("top stages")}
        self.assertEqual(list(rows)[:2], ["MessageRouter", "other"])
        most = rows["MessageRouter"]
        self.assertEqual((most["stanzas"], most["busy_ms"], most["percent"]), (6, 60, 75.0))
        self.assertEqual(most["us_per_stanza"], 10_000)
        self.assertEqual((rows["other"]["stanzas"], rows["other"]["us_per_stanza"]), (None, None))
        came = {stage: row["stanzas"] for stage, row in rows.items()}
        self.assertEqual(came["ConnectionHandler"], 13)
        self.assertEqual((came["StanzaHandler"], came["PacketRouter"]), (13, 13))
        self.assertEqual((came["PresenceRouter"], came["PresenceUpdateHandler"]), (6, 6))
        self.assertEqual((came["Roster"], came["IQRouter"]), (6, 1))
        self.assertEqual(came["LocalClientSession"], 6 + 12 + 1)  # juliet's, and his own

    def test_quiet(self) -> None:
        """Where nobody said anything there is nothing to show."""
        self.assertEqual(self.office.rows("top presence", minutes="1"), [])

    def test_refused(self) -> None:
        """What cannot be counted is refused."""
        for minutes in ("0", "11", "x", "²"):
            self.assertIn("from 1 to 10", self.office.refusal("top presence", minutes=minutes))
