"""XEP-0202 from the wire."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.house import House
from xmppd_plugins.entity_time import NS, zone_offset


class TimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(plugins=("entity_time",), romeo={})
        (self.romeo,) = self.house.connect("romeo")

    def test_server(self) -> None:
        """The server says what time it is, in UTC."""
        self.house.clock.advance(60)
        self.romeo.send(f"<iq type='get' id='t' to='montague.lit'><time xmlns='{NS}'/></iq>")
        (answer,) = self.romeo.received()
        self.assertIn("<utc>2023-11-14T22:14:20Z</utc>", answer)
        self.assertRegex(answer, r"<tzo>[+-]\d\d:\d\d</tzo>")

    def test_account(self) -> None:
        """An account has no clock."""
        self.romeo.send(f"<iq type='get' id='t' to='romeo@montague.lit'><time xmlns='{NS}'/></iq>")
        (answer,) = self.romeo.received()
        self.assertIn("<service-unavailable", answer)

    def test_zone_offset(self) -> None:
        """Zones are written as XEP-0082 asks."""
        for seconds, text in (
            (0, "+00:00"),
            (-21_600, "-06:00"),
            (19_800, "+05:30"),
            (-12_600, "-03:30"),
            (50_400, "+14:00"),
        ):
            with self.subTest(text):
                self.assertEqual(zone_offset(seconds), text)
