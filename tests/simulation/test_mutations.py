"""Each rule of the cluster is needed: without it the simulation finds a fault, with it none."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation import mutations, simulated_redis
from tests.simulation.invariants import Truth
from tests.simulation.mutations import Patch
from tests.simulation.schedule import Conditions, Schedule
from tests.simulation.shrink import kinds, played
from tests.simulation.steps import (
    Break,
    Cut,
    Hide,
    Kill,
    LogIn,
    RedisAway,
    Rename,
    SetTimeOfDay,
    Show,
    Step,
    Write,
)
from tests.simulation.world import World

ROMEO, JULIET, NURSE = (f"{name}@montague.lit" for name in ("romeo", "juliet", "nurse"))
QUICK = Conditions(frames_s=(0.001,))
SLOW_STORE = Conditions(frames_s=(0.001,), store_s=0.5)


def schedule(*steps: Step, conditions: Conditions = QUICK, seed: int = 1) -> Schedule:
    """A schedule of these steps."""
    return Schedule(seed, conditions, steps)


class MutationTests(SynchronousTestCase):
    def check(self, mutate: Callable[[Patch], None], wanted: str, *schedules: Schedule) -> None:
        """All is well with these schedules; one of them fails when a rule is left out.

        Args:
            mutate: Leaves the rule out.
            wanted: The invariant that is broken then.
            schedules: Are played.
        """
        for each in schedules:
            self.assertEqual(played(each), [])
        mutate(self.patch)
        broken = [kind for each in schedules for kind in kinds(played(each))]
        self.flushLoggedErrors()
        self.assertIn(wanted, broken)

    def test_release_without_serial(self) -> None:
        """RELEASE compares serials, so the end of an old session takes out no new one (CL-73)."""
        self.check(mutations.release_without_serial, "S1", Schedule.of(44))

    def test_read_before_write(self) -> None:
        """A session is in the directory before it looks who is there (CL-31)."""
        self.check(mutations.read_before_write, "S3", Schedule.of(9), Schedule.of(22))

    def test_unbind_forgotten(self) -> None:
        """An Unbind that overtakes the answer to its BIND is remembered (CL-21)."""
        courses = [
            schedule(
                LogIn(0.0, 0, f"{JULIET}/1", "a", False),
                LogIn(0.0, 1, f"{JULIET}/1", "b", False),
                seed=seed,
            )
            for seed in (79, 105)
        ]
        self.patch(simulated_redis, "QUICK_S", 0.5)
        self.check(mutations.unbind_forgotten, "S5", *courses)

    def test_interest_without_serial(self) -> None:
        """The late goodbye of an old session does not take out what the directory has said of a new
        one (CL-34): until that node answers, nothing else is known of it.
        """
        course = schedule(
            LogIn(0.0, 0, f"{NURSE}/1", "a", False),
            LogIn(0.0, 1, f"{JULIET}/1", "b", False),
            LogIn(0.0, 3, f"{ROMEO}/1", "a", False),
            Hide(5.0, 3),
            Cut(6.0, "b", "a", 1.3),
            Break(6.5, 1),
            LogIn(7.0, 2, f"{JULIET}/2", "b", False),
            Cut(7.1, "a", "b", 30.0),
            Show(7.2, 3, "back"),
            Cut(7.35, "b", "a", 30.0),
            conditions=SLOW_STORE,
        )

        def is_known() -> bool:
            world = World(course)
            world.play(until=20.0)
            return JULIET in world.nodes["a"].server.routing_table.elsewhere

        self.assertTrue(is_known())
        mutations.interest_without_serial(self.patch)
        self.assertFalse(is_known())

    def test_goodbye_by_interest(self) -> None:
        """A goodbye goes wherever the session was shown, whoever is known to be there (CL-35)."""
        course = schedule(
            LogIn(0.0, 0, f"{JULIET}/1", "b", False),
            LogIn(0.0, 3, f"{NURSE}/1", "a", False),
            Cut(4.0, "a", "b", 10.0),
            LogIn(4.5, 1, f"{ROMEO}/1", "a", False),
            Break(5.0, 0),
            Cut(5.5, "b", "a", 24.5),
            LogIn(6.0, 2, f"{JULIET}/2", "b", False),
            Break(16.0, 1),
        )
        self.check(mutations.goodbye_by_interest, "S3", course)

    def test_no_assertion(self) -> None:
        """When a node is lost, the others say what they have: it may have replaced one of their
        sessions, and died before it could say so (CL-66).
        """
        course = schedule(
            LogIn(0.0, 0, f"{JULIET}/1", "a", False),
            Cut(4.0, "b", "a", 20.0),
            LogIn(5.0, 1, f"{JULIET}/1", "b", False),
            Kill(5.1, "b"),
        )
        self.check(mutations.no_assertion, "S8", course)

    def test_no_second_read(self) -> None:
        """The directory is read again when a message was stored: its recipient may have come
        meanwhile (CL-51).
        """
        courses = [
            schedule(
                LogIn(0.0, 0, f"{ROMEO}/1", "a", False),
                Write(5.0, 0, JULIET, 1),
                LogIn(5.1, 1, f"{JULIET}/1", "b", False),
                conditions=SLOW_STORE,
                seed=seed,
            )
            for seed in range(20)
        ]
        self.check(mutations.no_second_read, "S1", *courses)

    def test_acknowledged_early(self) -> None:
        """A frame is acknowledged when it has been handled: what a node had got and was killed with
        is not lost (CL-82).
        """

        def lost() -> list[int]:
            """The courses in which the message is nowhere."""
            found = []
            for seed in range(8):
                world = World(
                    schedule(
                        LogIn(0.0, 0, f"{ROMEO}/1", "a", False),
                        LogIn(6.0, 2, f"{NURSE}/1", "b", False),
                        Write(7.0, 0, NURSE, 1),
                        Write(7.2, 0, NURSE, 2),
                        Write(7.4, 0, NURSE, 3),
                        Kill(7.6, "b"),
                        conditions=SLOW_STORE,
                        seed=seed,
                    )
                )
                world.play()
                truth = Truth(world)
                nurse = world.people.get(2)
                got = {number for number, _ in nurse.got} if nurse is not None else set()
                if not {1, 2, 3} <= got | set(truth.stored):
                    found.append(seed)
            return found

        self.assertEqual(lost(), [])
        mutations.acknowledged_early(self.patch)
        self.assertNotEqual(lost(), [])
        self.flushLoggedErrors()

    def test_fenced_without_link(self) -> None:
        """Whoever is heard is not declared dead, though Redis does not hear it (CL-62)."""
        course = schedule(
            LogIn(0.0, 0, f"{ROMEO}/1", "a", False),
            RedisAway(5.0, ("a",), 12.0),
            Cut(5.0, "b", "a", 12.0),
            Cut(5.0, "c", "a", 12.0),
        )
        self.check(mutations.fenced_without_link, "S6", course)

    def silenced(self) -> Schedule:
        """Node a, which has only Redis, does not reach it; its time of day is set back, and a
        client there changes something when others have declared it dead.
        """
        return schedule(
            LogIn(0.0, 0, f"{ROMEO}/1", "a", False),
            RedisAway(5.0, ("a",), 12.0),
            SetTimeOfDay(6.0, "a", -20.0),
            Rename(11.6, 0, "nurse", "Ann"),
            conditions=Conditions(links=False),
        )

    def test_lease_by_wall_clock(self) -> None:
        """How long a lease lasts is not told by the time of day, which may be set (CL-61)."""
        self.check(mutations.lease_by_wall_clock, "S6", self.silenced())

    def test_handled_without_lease(self) -> None:
        """A node whose lease has run out does nothing (CL-61)."""
        self.check(mutations.handled_without_lease, "S6", self.silenced())

    def test_all(self) -> None:
        """Each of these rules has its test."""
        names = {f"test_{mutate.__name__}" for mutate in mutations.ALL}
        self.assertLessEqual(names, set(dir(self)))
