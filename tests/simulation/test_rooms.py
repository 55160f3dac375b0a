"""People in a room on three nodes see what they must, whatever happens (RM-70, RM-71)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.simulation.room_world import RoomWorld

SEEDS = range(8)


class RoomTests(SynchronousTestCase):
    def test_seeds(self) -> None:
        """One order and one id for all, each presence with one end, nobody heard without voice."""
        for seed in SEEDS:
            with self.subTest(seed=seed):
                world = RoomWorld(seed)
                found = world.play()
                self.assertEqual(found, [], "\n".join(world.tale))
