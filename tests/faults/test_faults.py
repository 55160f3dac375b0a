"""Some of the faults, one of each kind; ``make faults`` has all of them."""

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.faults import FAULTS
from tests.faults.matrix import run
from tests.seeds import some_seed


class FaultTests(SynchronousTestCase):
    def happens(self, name: str, links: str) -> None:
        """It goes well."""
        seed = some_seed()
        wrong, counts = run(FAULTS[name], links, seed)
        self.assertEqual(wrong, [], f"seed {seed}: {counts}")

    def test_killed(self) -> None:
        """A node is killed, with links."""
        self.happens("kill-b", "direct")

    def test_cut(self) -> None:
        """A link is cut in one direction."""
        self.happens("cut-one-way", "direct")

    def test_restarted(self) -> None:
        """All nodes are restarted one after the other, where all goes by Redis."""
        self.happens("rolling-restart", "redis")
