"""Made-up courses of events: what is promised holds in the end, whatever has failed."""

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.invariants import faults
from tests.simulation.schedule import Conditions, Schedule
from tests.simulation.shrink import played, shrunk, undisturbed
from tests.simulation.steps import Drain, LogIn, Resume, Show, Step
from tests.simulation.tale import tell
from tests.simulation.world import World

SEEDS = 275
"""As many as take less than a minute; ``make simulate`` plays more."""

A_FEW = 25

MOVES = 50
"""Of those in which sessions move."""


class SimulationTests(SynchronousTestCase):
    """S1 to S8, by the first :data:`SEEDS` schedules."""

    def check(self, first: int) -> None:
        """Play every :data:`A_FEW` th of them, from this one on."""
        with undisturbed():
            for seed in range(first, SEEDS, A_FEW):
                found = played(Schedule.of(seed))
                self.assertEqual(found, [], f"make simulate SEED={seed} tells more")


class MovesTests(SynchronousTestCase):
    """S1 to S8, where nodes are drained and clients come back to their sessions elsewhere."""

    def test_moves(self) -> None:
        """All is well with the first of these schedules."""
        with undisturbed():
            for seed in range(MOVES):
                found = played(Schedule.of(seed, moves=True))
                self.assertEqual(found, [], f"make simulate MOVES=1 SEED={seed} tells more")

    def test_both(self) -> None:
        """There are drains in these schedules, and clients that come back elsewhere."""
        steps = [step for seed in range(MOVES) for step in Schedule.of(seed, moves=True).steps]
        self.assertTrue(any(isinstance(step, Drain) for step in steps))
        self.assertTrue(any(isinstance(step, Resume) and step.node for step in steps))


def _add_tests() -> None:
    """A test for some of them each, so that it is seen that it goes on."""
    for first in range(A_FEW):

        def test(self: SimulationTests, first: int = first) -> None:
            self.check(first)

        test.__doc__ = f"All is well with the schedules {first}, {first + A_FEW} and so on."
        setattr(SimulationTests, f"test_from_{first}", test)


_add_tests()


class ScheduleTests(SynchronousTestCase):
    def test_same_again(self) -> None:
        """A seed makes the same schedule each time, and that takes the same course."""
        one, other = Schedule.of(11), Schedule.of(11)
        self.assertEqual(one, other)
        self.assertEqual(str(one), str(other))
        self.assertEqual(_course(one), _course(other))

    def test_shorter(self) -> None:
        """One that fails is made as short as it can be while it fails in the same way."""
        schedule = Schedule.of(3)
        wanted = {schedule.steps[2], schedule.steps[20]}

        def play(shorter: Schedule) -> list[str]:
            return ["S1: both are there"] if wanted <= set(shorter.steps) else ["S2: another"]

        shortest = shrunk(schedule, play(schedule), play)
        self.assertEqual(set(shortest.steps), wanted)

    def test_told(self) -> None:
        """A tale has each step, what clients hear, and what is wrong in the end."""
        steps: tuple[Step, ...] = (
            LogIn(0.0, 0, "romeo@montague.lit/1", "a", False),
            LogIn(0.0, 1, "juliet@montague.lit/1", "b", False),
            Show(1.0, 0, "hello"),
        )
        tale = "\n".join(tell(Schedule(0, Conditions(), steps)))
        self.assertIn("LogIn(at=0.0, client=1", tale)
        self.assertRegex(tale, "client 1: .*<status>hello</status>")
        self.assertNotIn("S3", tale)

    def test_somebody_is_not_seen(self) -> None:
        """Whoever is not seen as it is, is a fault in words."""
        steps: tuple[Step, ...] = (
            LogIn(0.0, 0, "romeo@montague.lit/1", "a", False),
            LogIn(0.0, 1, "juliet@montague.lit/1", "b", False),
        )
        world = World(Schedule(0, Conditions(), steps))
        world.play()
        world.people[1].sees.clear()
        found = faults(world)
        self.assertIn(
            "S3: juliet@montague.lit/1 (client 1) at b.1 sees romeo@montague.lit/1 as None, "
            "and it is first of 0",
            found,
        )


def _course(schedule: Schedule) -> list[object]:
    """What all clients have seen and got in the end."""
    world = World(schedule)
    world.play()
    return [(person.sees, person.got, person.full) for person in world.people.values()]
