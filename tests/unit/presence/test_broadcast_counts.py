"""Whose presence causes how much."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.presence.broadcast_counts import MAX_NAMES_PER_MINUTE, MINUTES, OTHERS, Sum, Sums
from xmppd.stanza import Presence
from xmppd.store.shared_groups import SharedGroup
from xmppd.testing.client import Client, done
from xmppd.testing.house import House

CAPS = "<c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='{}' ver='x'/>"


class FanOutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(
            "montague.lit",
            romeo={"juliet": "both", "tybalt": "to"},
            juliet={"romeo": "both"},
            tybalt={},
        )
        self.broadcast_counts = self.house.server.broadcast_counts

    def minute(self) -> None:
        """A minute passes."""
        self.house.clock.advance(60)

    def test_copies(self) -> None:
        """Each session that hears a presence is one copy, one's own included."""
        romeo, *_ = self.house.connect("romeo", "juliet/a", "juliet/b", "tybalt")
        self.minute()
        romeo.send("<presence/>")
        caused = self.broadcast_counts.accounts(1)["romeo@montague.lit"]
        size = len(b"<presence from='romeo@montague.lit/1'/>")
        self.assertEqual(caused, Sum(1, 3, 3 * size))

    def test_groups(self) -> None:
        """Who hears it by a shared group is counted too."""
        group = SharedGroup("all", "All", ("romeo@montague.lit", "tybalt@montague.lit"))
        done(self.house.server.shared_groups.save(group))
        romeo, *_ = self.house.connect("romeo", "tybalt")
        self.minute()
        romeo.send("<presence type='unavailable'/>")
        self.assertEqual(self.broadcast_counts.accounts(1)["romeo@montague.lit"].copies, 1)

    def test_software(self) -> None:
        """Clients are told apart by what their presence says, goodbyes included."""
        romeo, juliet = self.house.connect("romeo", "juliet")
        self.minute()
        romeo.send(f"<presence>{CAPS.format('https://gajim.org')}</presence>")
        romeo.send("<presence/>")
        juliet.send("<presence type='unavailable'/>")
        software = self.broadcast_counts.software(1)
        self.assertEqual(software["https://gajim.org"].broadcasts, 2)
        self.assertEqual(software[""].broadcasts, 1)

    def test_long_name(self) -> None:
        """A client's name for itself is cut."""
        (romeo,) = self.house.connect("romeo")
        romeo.send(f"<presence>{CAPS.format('x' * 1_000)}</presence>")
        self.assertIn("x" * 200, self.broadcast_counts.software(1))

    def test_minutes(self) -> None:
        """What is longer ago than asked for, or than is kept, is not counted."""
        (romeo,) = self.house.connect("romeo")
        for _ in range(MINUTES + 3):
            self.minute()
            romeo.send("<presence/>")
        for minutes in (1, 2, MINUTES):
            self.assertEqual(self.sent(romeo, minutes), minutes)
        self.minute()
        self.assertEqual(self.sent(romeo, 1), 0)
        self.assertEqual(self.sent(romeo, MINUTES), MINUTES - 1)

    def sent(self, client: Client, minutes: int) -> int:
        """How many presences are counted for a client's account."""
        assert client.jid is not None
        return self.broadcast_counts.accounts(minutes).get(client.jid.bare, Sum()).broadcasts


class SumsTests(SynchronousTestCase):
    def test_bounded(self) -> None:
        """However many there are, the largest are kept by name and the total is right."""
        sums, many = Sums(), 10 * MAX_NAMES_PER_MINUTE
        for number in range(many):
            sums.add("star", 1_000, 1)
            sums.add(f"guest{number}", 1, 1)
            self.assertLessEqual(len(sums.by_name), 2 * MAX_NAMES_PER_MINUTE + 1)
        self.assertEqual(sums.by_name["star"].broadcasts, many)
        self.assertGreater(sums.by_name[OTHERS].broadcasts, 0)
        self.assertEqual(sum(caused.broadcasts for caused in sums.by_name.values()), 2 * many)


class SoftwareTests(SynchronousTestCase):
    def test_none(self) -> None:
        """A presence that does not say is of no software."""
        presence = Presence.make(None, House().jid("romeo"))
        self.assertIsNone(presence.capabilities)
