"""Lately: what was done in the last seconds is remembered, and no more."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.routing.lately import LATELY_S, MAX_LATELY, Lately


class LatelyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lately = Lately[int](self.clock.seconds)

    def test_for_some_time(self) -> None:
        """A thing is forgotten after the time, counted from when it was noted last."""
        self.lately.note(1)
        self.lately.note(2)
        self.clock.advance(LATELY_S - 1)
        self.lately.note(1)
        self.assertEqual(self.lately.all(), [2, 1])
        self.clock.advance(1)
        self.assertEqual(self.lately.all(), [1])
        self.clock.advance(LATELY_S)
        self.assertEqual(self.lately.all(), [])

    def test_not_too_many(self) -> None:
        """There are no more than so many."""
        for number in range(MAX_LATELY + 1):
            self.lately.note(number)
        self.assertEqual(len(self.lately), MAX_LATELY)
        self.assertNotIn(0, self.lately.all())
