"""Short courses of events that went wrong once."""

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.schedule import Conditions, Schedule
from tests.simulation.shrink import played
from tests.simulation.steps import Cut, Drain, LogIn, NewPassword, Step

JULIET, NURSE = "juliet@montague.lit", "nurse@montague.lit"


class FoundTests(SynchronousTestCase):
    """Each is well; its number decides how long everything is under way."""

    def check(self, seed: int, conditions: Conditions, *steps: Step) -> None:
        """All is well when this has been played."""
        self.assertEqual(played(Schedule(seed, conditions, steps)), [])

    def test_introduced_late(self) -> None:
        """A session is introduced by its node so late that it has moved, and ended elsewhere, in
        the meantime: nobody goes on to see it (CL-103).
        """
        self.check(
            572,
            Conditions(links=False, frames_s=(0.001, 0.1, 1.0), store_s=0.05),
            Cut(2.0, "c", "a", 15.0),
            LogIn(2.1, 4, f"{NURSE}/2", "a", False),
            LogIn(5.3, 5, f"{JULIET}/2", "c", True),
            Drain(10.2, "c", 5.0),
            NewPassword(16.7, "juliet", "c"),
        )
