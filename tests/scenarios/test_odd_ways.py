"""Whatever way a stanza goes, it means at the end what it meant at the beginning."""

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from tests.odd_ways import OFTEN, SELDOM, Town, go
from tests.seeds import some_seed

STANZAS = 120


class WayTests(SynchronousTestCase):
    def test_every_way(self) -> None:
        """On each way something odd arrives as it was sent."""
        town = Town()
        for way in OFTEN + SELDOM:
            for seed in range(3):
                with self.subTest(way.__name__, seed=seed):
                    way(town, Random(seed))
                    town.forget()

    def test_other_stanzas(self) -> None:
        """Also what nobody has thought of; a difference says how to see it again."""
        town, first = Town(), some_seed()
        for seed in range(first, first + STANZAS):
            go(town, seed)
