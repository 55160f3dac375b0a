"""Work for many that is done for all of them at once."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.rounds import Rounds

GAP_S = 0.05


class RoundsTests(SynchronousTestCase):
    """Rounds, of which one begins every 50 ms at most."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.rounds = Rounds(self.clock, GAP_S)

    def waits(self) -> Deferred[None]:
        """Join a round that does not begin now."""
        begins = self.rounds.join()
        assert begins is not None, "it begins now"
        return begins

    def test_alone(self) -> None:
        """Who comes alone begins at once, and nothing is left behind."""
        for _ in range(3):
            self.assertIsNone(self.rounds.join())
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.clock.advance(GAP_S)

    def test_together(self) -> None:
        """All who come soon behind another wait for the same round."""
        self.rounds.join()
        self.clock.advance(0.02)
        first, second = self.waits(), self.waits()
        self.clock.advance(0.02)
        third = self.waits()
        self.assertFalse(first.called)
        self.clock.advance(0.01)
        for each in (first, second, third):
            self.successResultOf(each)

    def test_next(self) -> None:
        """Who comes behind that round waits as long as behind any other, also while it begins."""
        self.rounds.join()
        later: list[Deferred[None]] = []
        self.waits().addCallback(lambda _: later.append(self.waits()))
        self.clock.advance(GAP_S)
        [waiting] = later
        self.clock.advance(GAP_S - 0.001)
        self.assertFalse(waiting.called)
        self.clock.advance(0.001)
        self.successResultOf(waiting)
