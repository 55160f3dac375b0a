"""A share of :mod:`tests.poison`."""

from twisted.trial.unittest import SynchronousTestCase

from tests.poison import Town
from tests.seeds import some_seed

ROUNDS = 5


class PoisonTests(SynchronousTestCase):
    def test_share(self) -> None:
        """Whatever somebody says, nobody else's stream ends, and every login is complete.

        What fails names the seed; ``python -m tests.poison --seed`` does the same again.
        """
        town = Town(some_seed())
        for _ in range(ROUNDS):
            town.round()
        self.assertGreater(town.sent, 0)
