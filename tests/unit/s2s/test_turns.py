"""Turns at calling other servers."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.s2s.turns import Turns


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns = Turns(2)
        self.begun: list[str] = []

    def begin(self, who: str) -> Deferred[None]:
        turn = Deferred.fromCoroutine(self.turns.begin(who))
        return turn.addCallback(lambda _: self.begun.append(who))

    def test_so_many_at_once(self) -> None:
        """The third waits until one of the first two has ended."""
        for who in ("a", "b", "c"):
            self.begin(who)
        self.assertEqual(self.begun, ["a", "b"])
        self.turns.end()
        self.assertEqual(self.begun, ["a", "b", "c"])

    def test_everybody_gets_a_turn(self) -> None:
        """Who wants a thousand does not keep those waiting who want one."""
        for _ in range(1_000):
            self.begin("flood")
        self.begin("romeo")
        self.begin("juliet")
        for _ in range(3):
            self.turns.end()
        self.assertEqual(self.begun, ["flood", "flood", "flood", "romeo", "juliet"])

    def test_who_gives_up(self) -> None:
        """A place in the line that was given up is nobody's."""
        waiting = [self.begin(who) for who in ("a", "b", "c", "c", "d")][2:]
        for turn in waiting[:2]:
            turn.cancel()
            self.failureResultOf(turn, CancelledError)
        self.assertEqual(len(self.turns), 1)
        self.turns.end()
        self.assertEqual(self.begun, ["a", "b", "d"])
        self.turns.end()
        self.turns.end()
        self.begin("e")
        self.assertEqual(self.begun[-1], "e")
