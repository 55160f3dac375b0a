"""One of the faults; ``make faults`` has all of them."""

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.faults import FAULTS
from tests.faults.matrix import run
from tests.seeds import some_seed


class FaultTests(SynchronousTestCase):
    def test_cut(self) -> None:
        """A link is cut in one direction."""
        seed = some_seed()
        wrong, counts = run(FAULTS["cut-one-way"], "direct", seed)
        self.assertEqual(wrong, [], f"seed {seed}: {counts}")
