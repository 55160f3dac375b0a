"""The judge finds what is wrong, and lets the rest be."""

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.history import Heard, History, Mark, Message, Seen, Stay
from tests.faults.judge import Excuse, Judge

ROMEO, JULIET, MAB = "romeo@h/1", "juliet@h/1", "mab@h/1"
GRACE_S = 4.0


class JudgeCase(SynchronousTestCase):
    """Romeo and Juliet see each other; nobody sees Mab."""

    def setUp(self) -> None:
        both = frozenset({"romeo@h", "juliet@h"})
        self.history = History({"romeo@h": both, "juliet@h": both, "mab@h": both})
        self.romeo, self.juliet, self.mab = (self.stay(who) for who in (ROMEO, JULIET, MAB))
        self.mab.said = None
        for viewer in (self.romeo, self.juliet, self.mab):
            for other in (self.romeo, self.juliet):
                if viewer is not other:
                    self.see(viewer, other.who, other.said)

    def stay(self, who: str, number: int = 1, began: float = 0.0) -> Stay:
        """Somebody begins to be there, and says so."""
        stay = Stay(who, number, began, said=(number, 1))
        self.history.stays.append(stay)
        return stay

    def see(self, stay: Stay, who: str, mark: Mark | None, at: float = 0.0) -> None:
        stay.seen.append(Seen(who, mark, at))

    def write(self, number: int, *, is_safe: bool = True) -> Message:
        """Romeo writes to Juliet."""
        message = Message(f"m{number}", ROMEO, "juliet@h", "a", number, 0.0, is_safe=is_safe)
        self.history.messages[message.id] = message
        return message

    def hear(self, stay: Stay, number: int, *, is_late: bool = False) -> None:
        stay.heard.append(Heard(f"m{number}", 1.0, len(stay.heard) + 1, is_late))

    def assert_wrong(self, part: str = "", *excuses: Excuse) -> None:
        """One thing is wrong, and this is how it is called; or nothing is."""
        wrong = Judge(self.history, GRACE_S, frozenset(excuses)).verdict()
        self.assertEqual(len(wrong), bool(part), wrong)
        self.assertIn(part, "".join(wrong))


class MessagesJudgedTests(JudgeCase):
    def test_well(self) -> None:
        """All that was acknowledged has come, once and in order."""
        for number in range(3):
            self.write(number)
            self.hear(self.juliet, number)
        self.write(3, is_safe=False)
        self.assert_wrong()

    def test_lost(self) -> None:
        """A message that was acknowledged has not come; one that came back is not lost."""
        self.write(0).is_bounced = True
        self.write(1)
        self.assert_wrong("nobody has heard m1")

    def test_doubled(self) -> None:
        """It came twice to one session; no fault excuses that."""
        self.write(0)
        self.hear(self.juliet, 0)
        self.hear(self.juliet, 0)
        self.assert_wrong("has heard m0", *Excuse)

    def test_sent_twice(self) -> None:
        """One that its sender has sent twice may come twice."""
        self.write(0).is_repeated = True
        self.hear(self.juliet, 0)
        self.hear(self.juliet, 0)
        self.assert_wrong()

    def came_back(self) -> Stay:
        """Juliet begins anew after a second."""
        self.juliet.ended = 10.0
        again = self.stay(JULIET, 2, began=11.0)
        self.see(again, ROMEO, (1, 1))
        self.see(self.romeo, JULIET, (2, 1), at=11.0)
        self.see(self.mab, JULIET, (2, 1), at=11.0)
        return again

    def test_doubled_in_next_session(self) -> None:
        """What was not acknowledged may come to the next session after a kill; what the server knew
        to have come may not.
        """
        self.write(0)
        self.hear(self.juliet, 0)
        self.hear(self.came_back(), 0)
        self.assert_wrong("twice, in its stays 1 and 2")
        self.assert_wrong("", Excuse.DOUBLED)
        self.juliet.settled = 1
        self.assert_wrong("twice, in its stays 1 and 2", Excuse.DOUBLED)

    def test_disordered(self) -> None:
        """It came behind a later one; a loss excuses that if it says that it has waited."""
        for number in range(2):
            self.write(number)
        self.hear(self.juliet, 1)
        self.hear(self.juliet, 0, is_late=True)
        self.assert_wrong("behind number 1")
        self.assert_wrong("", Excuse.LATE)
        self.juliet.heard[-1].is_late = False
        self.assert_wrong("behind number 1", Excuse.LATE)


class PresenceJudgedTests(JudgeCase):
    def test_well(self) -> None:
        """Each change is seen once, in order, and the last one is what is seen."""
        self.juliet.said = (1, 3)
        for viewer in (self.romeo, self.mab):
            self.see(viewer, JULIET, (1, 2))
            self.see(viewer, JULIET, (1, 3))
        self.assert_wrong()

    def test_not_shown(self) -> None:
        """Somebody has not seen the last one."""
        self.juliet.said = (1, 2)
        self.see(self.romeo, JULIET, (1, 2))
        self.assert_wrong("mab@h/1 sees juliet@h/1 as at (1, 1), who is at (1, 2)")

    def test_order(self) -> None:
        """A presence comes behind a later one."""
        for mark in ((1, 3), (1, 2), (1, 4)):
            self.see(self.romeo, JULIET, mark)
        self.see(self.mab, JULIET, (1, 4))
        self.juliet.said = (1, 4)
        self.assert_wrong("at (1, 2) behind (1, 3)")

    def test_twice(self) -> None:
        """One comes twice."""
        self.see(self.romeo, JULIET, (1, 1))
        self.assert_wrong("at (1, 1) twice")
        self.assert_wrong("", Excuse.AGAIN)

    def test_hidden(self) -> None:
        """Somebody sees who nobody may see."""
        self.see(self.romeo, MAB, (1, 1))
        self.see(self.romeo, MAB, None)
        self.assert_wrong("has seen mab@h/1, who hides, 2 times")

    def leave(self, ended: float, told: float, back: float | None) -> None:
        """Juliet is gone, and others are told at a moment; perhaps she is back."""
        self.juliet.ended = ended
        for viewer in (self.romeo, self.mab):
            self.see(viewer, JULIET, None, at=told)
        if back is not None:
            self.stay(JULIET, 2, began=back).seen.append(Seen(ROMEO, (1, 1), back))
            for viewer in (self.romeo, self.mab):
                self.see(viewer, JULIET, (2, 1), at=back)

    def test_leaves(self) -> None:
        """Who stays away is told to be gone, once."""
        self.leave(10.0, 15.0, None)
        self.assert_wrong()
        self.see(self.romeo, JULIET, None, at=15.1)
        self.assert_wrong("was told twice, or too early, that juliet@h/1 is gone")

    def test_never_told(self) -> None:
        """Nobody was told of somebody who is gone."""
        self.juliet.ended = 10.0
        judge = Judge(self.history, GRACE_S)
        still = [f"{viewer} still sees juliet@h/1" for viewer in (ROMEO, MAB)]
        self.assertEqual(judge.not_told(JULIET), still)
        self.assertEqual(len(judge.verdict()), 2)

    def test_back_in_time(self) -> None:
        """Who was not away for long is not told to be gone."""
        self.leave(10.0, 11.0, back=12.0)
        wrong = Judge(self.history, GRACE_S).verdict()
        self.assertEqual(wrong, [f"{who} was told that {JULIET} is gone, who was not"
                                 for who in (ROMEO, MAB)])  # fmt: skip
        self.assert_wrong("", Excuse.REPLACED)

    def test_back_too_late(self) -> None:
        """Who was away for longer may be."""
        self.leave(10.0, 14.5, back=16.0)
        self.assert_wrong()

    def test_not_resumable(self) -> None:
        """A client that cannot resume is gone at once, which others may read before it does."""
        for told in (10.1, 9.9):
            with self.subTest(told=told):
                self.setUp()
                self.juliet.is_resumable = False
                self.leave(10.0, told, back=10.5)
                self.assert_wrong()
