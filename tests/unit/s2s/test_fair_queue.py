"""FairQueue at calling other servers."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.s2s.fair_queue import FairQueue


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.turns = FairQueue(2)
        self.begun: list[str] = []

    def begin(self, who: str) -> Deferred[None]:
        turn = Deferred.fromCoroutine(self.turns.begin(object(), who))
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

    def test_wanted_by_several(self) -> None:
        """What somebody has wanted for long begins when it is anybody's turn who wants it."""
        for who in ("a", "b"):
            self.begin(who)
        turns = [Deferred.fromCoroutine(self.turns.begin(n, "flood")) for n in range(1_000)]
        self.turns.want(999, "romeo")
        self.turns.want(999, "romeo")
        self.assertEqual(self.turns.waiting_for("romeo"), 1)
        self.turns.end()
        self.turns.end()
        self.assertEqual([n for n, turn in enumerate(turns) if turn.called], [0, 999])
        self.assertEqual(self.turns.waiting_for("romeo"), 0)
        self.assertEqual(self.turns.waiting_for("flood"), 998)
        self.turns.want(999, "juliet")
        self.assertEqual(self.turns.waiting_for("juliet"), 0)

    def test_given_up_by_all(self) -> None:
        """What is given up waits in nobody's line."""
        for who in ("a", "b"):
            self.begin(who)
        turn = Deferred.fromCoroutine(self.turns.begin("x", "romeo"))
        self.turns.want("x", "juliet")
        turn.cancel()
        self.failureResultOf(turn, CancelledError)
        self.assertEqual((len(self.turns), self.turns.waiting_for("juliet")), (0, 0))
        self.turns.end()
