"""Somebody asks for as much as may be asked for, while two who are online talk to each other."""

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from bench import hostile
from bench.client import raise_descriptor_limit

MAX_P99_MS = 1_000.0
"""What two cores manage that have other work too; measured when idle: 30 ms."""


class CanaryTests(SynchronousTestCase):
    """Some of the scenarios of ``python -m bench.hostile``, with smaller numbers."""

    def setUp(self) -> None:
        for name, number in (("STORED", 2_000), ("BIG_ROSTER", 2_000), ("GROUP", 100)):
            self.patch(hostile, name, number)
        raise_descriptor_limit()
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        self.server = hostile.Hostile(directory)
        self.server.start()
        self.addCleanup(self.server.stop)
        hostile.prepare(self.server)

    def test_canary(self) -> None:
        """Whoever asks is served, all of it, and the two notice little."""
        for scenario in (hostile.block, hostile.presence, hostile.flood, hostile.roster):
            with self.subTest(scenario=scenario.__name__):
                result, _ = hostile.played(scenario, self.server)
                self.assertGreater(float(result["messages"] or 0.0), 0.0)
                self.assertLess(float(result["p99_ms"] or 0.0), MAX_P99_MS)
