"""Presence that repeats itself."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import PresenceSettings
from xmppd.testing.house import House, house_config

DOMAIN = "montague.lit"
AWAY = "<presence><show>away</show></presence>"


class RepeatedTests(SynchronousTestCase):
    """``presence.suppress_repeated`` (PU-16)."""

    def setUp(self) -> None:
        self.build(suppress=True)

    def build(self, *, suppress: bool) -> None:
        config = house_config(DOMAIN, presence={"suppress_repeated": suppress})
        self.house = House(
            DOMAIN, config=config, romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        self.juliet, self.romeo = self.house.connect("juliet", "romeo")

    def heard(self, *presences: str) -> int:
        """How many presences Juliet hears of those that Romeo sends."""
        self.juliet.raw()
        for presence in presences:
            self.romeo.send(presence)
        return len(self.juliet.received())

    def test_repeated(self) -> None:
        """What contacts know already is not told again; every change is."""
        self.assertEqual(self.heard(AWAY, AWAY, AWAY), 1)
        self.assertEqual(self.heard("<presence/>", AWAY, "<presence/>"), 3)
        self.assertEqual(self.heard("<presence id='1'/>"), 1)

    def test_by_default(self) -> None:
        """Unless it is configured so, all are told, as RFC 6121 §4.4.2 has it."""
        self.build(suppress=False)
        self.assertEqual(self.heard(AWAY, AWAY, AWAY), 3)
        new = replace(self.house.server.config, presence=PresenceSettings(suppress_repeated=True))
        self.house.server.reload(new)
        self.assertEqual(self.heard(AWAY, AWAY), 0)

    def test_goodbye_in_between(self) -> None:
        """Unavailable is told, and the presence behind it, though it is the one of before."""
        self.assertEqual(self.heard(AWAY, "<presence type='unavailable'/>", AWAY), 3)

    def test_directed(self) -> None:
        """What is sent to somebody in person arrives as often as it is sent."""
        directed = AWAY.replace("<presence", f"<presence to='juliet@{DOMAIN}'")
        self.assertEqual(self.heard(AWAY, directed, directed), 3)

    def test_first_of_another_session(self) -> None:
        """The first presence of a session is told, whatever other sessions of the account said."""
        self.heard(AWAY)
        self.romeo = self.house.bind("romeo", "2")
        self.assertEqual(self.heard(AWAY), 1)

    def test_what_is_owed(self) -> None:
        """A resource that is suppressed still gets what it would get."""
        self.heard(AWAY, AWAY)
        self.romeo.raw()
        self.juliet.send(f"<message to='romeo@{DOMAIN}'><body>x</body></message>")
        self.assertEqual(len(self.romeo.received()), 1)
