"""Lines that somebody else can cause."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.seldom import EACH_S, MAX_CAUSES, Seldom


class SeldomTests(SynchronousTestCase):
    def test_a_minute(self) -> None:
        """A line each minute for each cause; the next one knows how many were left out."""
        now = 5.0
        seldom = Seldom(lambda: now)
        self.assertEqual([seldom.untold("a") for _ in range(3)], [0, None, None])
        self.assertEqual(seldom.untold("b"), 0)
        now += EACH_S
        self.assertEqual([seldom.untold("a"), seldom.untold("a")], [2, None])

    def test_bounded(self) -> None:
        """However many causes there are, only so many are remembered."""
        seldom = Seldom(lambda: 5.0)
        for number in range(MAX_CAUSES + 5):
            seldom.untold(f"d{number}.lit")
        self.assertEqual(len(seldom._told), MAX_CAUSES)
