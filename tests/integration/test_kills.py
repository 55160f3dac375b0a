"""Nothing is lost, doubled or out of order when the server is killed or stopped: a few times."""

from pathlib import Path
from random import SystemRandom
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from bench.kills import drill
from tests.unit.store.databases import drop_postgresql, make_postgresql


class KillTests(SynchronousTestCase):
    """A share of what ``python -m bench.kills`` does, with another seed each time."""

    def ends(self, storage: str = "") -> None:
        seed = SystemRandom().randrange(1 << 32)
        # A short path: that of a Unix socket may have 107 characters.
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        wrong, counts = drill(directory, kills=3, stops=1, seed=seed, storage=storage)
        self.assertEqual(wrong, [], f"seed {seed}: {counts}")

    def test_sqlite(self) -> None:
        """On SQLite."""
        self.ends()

    def test_postgresql(self) -> None:
        """On PostgreSQL."""
        storage = make_postgresql()
        self.addCleanup(drop_postgresql, storage)
        self.ends(storage)
