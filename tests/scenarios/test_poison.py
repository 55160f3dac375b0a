"""A share of :mod:`tests.poison`, with another seed each time."""

from random import SystemRandom
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from tests.poison import ROUNDS_A_TOWN, Town

SHARE_S = 4.0


class PoisonTests(SynchronousTestCase):
    def test_share(self) -> None:
        """Whatever somebody says, nobody else's stream ends, and every login is complete.

        What fails names the seed; ``python -m tests.poison --seed`` does the same again.
        """
        began = monotonic()
        town = Town(SystemRandom().randrange(2**32))
        for _ in range(ROUNDS_A_TOWN):
            town.round()
            if monotonic() - began > SHARE_S:
                break
        self.assertGreater(town.sent, 0)
