"""Work that is too long for one turn of the reactor."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support import next_turn
from xmppd.host.turns import SHARE_S, Turns


class TurnsTests(SynchronousTestCase):
    """Turns, with a clock that each slice of work turns on."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.turns = Turns(self.clock)
        self.done: list[str] = []

    def work(self, name: str, slices: int, slice_s: float) -> None:
        """Do so many slices of work, each in a turn."""

        async def run() -> None:
            for _ in range(slices):
                await self.turns.next()
                self.clock.rightNow += slice_s
                self.done.append(name)

        Deferred.fromCoroutine(run())

    def turn(self) -> list[str]:
        """What was done in one turn of the reactor."""
        self.done.clear()
        next_turn(self.clock)
        return list(self.done)

    def test_a_slice_in_each_turn(self) -> None:
        """Whoever waits again has had its turn, so that the reactor serves others in between."""
        self.work("a", 2, 0.0)
        self.assertEqual(self.done, [])
        self.assertEqual([self.turn(), self.turn(), self.turn()], [["a"], ["a"], []])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_all_share_a_turn(self) -> None:
        """A hundred that want much at once take no more of a turn than one does, in fair order."""
        names = [str(number) for number in range(100)]
        for name in names:
            self.work(name, 2, 0.6 * SHARE_S)
        done = []
        while turn := self.turn():
            self.assertLessEqual(len(turn), 2)
            done += turn
        self.assertEqual(done, names + names)
