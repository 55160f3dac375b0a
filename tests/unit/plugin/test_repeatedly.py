"""What plugins do from time to time."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.plugin.repeatedly import repeatedly

EVERY_S = 60.0


class RepeatedlyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.times = 0

    def test_again_and_again(self) -> None:
        """It is done at each of its times, until the plugin goes."""
        part = repeatedly(self.count, EVERY_S, self.clock)
        self.assertEqual(self.times, 0)
        for times in (1, 2, 3):
            self.clock.advance(EVERY_S)
            self.assertEqual(self.times, times)
        part.call()
        self.clock.advance(EVERY_S)
        self.assertEqual(self.times, 3)

    def test_first(self) -> None:
        """The first time may come earlier; a plugin that goes before it does nothing."""
        part = repeatedly(self.count, EVERY_S, self.clock, first_s=1.0)
        self.clock.advance(1.0)
        self.clock.advance(EVERY_S)
        self.assertEqual(self.times, 2)
        part.call()
        repeatedly(self.count, EVERY_S, self.clock, first_s=1.0).call()
        self.clock.advance(EVERY_S)
        self.assertEqual(self.times, 2)

    def count(self) -> None:
        self.times += 1

    def test_fails(self) -> None:
        """Where it fails, at once or later, that is logged, and it is done at its next time."""

        def at_once() -> None:
            self.times += 1
            raise RuntimeError("at once")

        async def later() -> None:
            self.times += 1
            raise RuntimeError("later")

        for work in (at_once, later):
            self.times = 0
            part = repeatedly(work, EVERY_S, self.clock)
            self.clock.advance(EVERY_S)
            self.clock.advance(EVERY_S)
            self.assertEqual(self.times, 2)
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
            part.call()

    def test_takes_long(self) -> None:
        """What takes longer than from one time to the next is not begun twice."""
        done = Deferred[None]()

        async def work() -> None:
            self.times += 1
            await done

        repeatedly(work, EVERY_S, self.clock)
        for _ in range(3):
            self.clock.advance(EVERY_S)
        self.assertEqual(self.times, 1)
        done.callback(None)
        self.clock.advance(EVERY_S)
        self.assertEqual(self.times, 2)
