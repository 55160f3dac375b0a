"""The floor: to the tool that makes load it is a server like any other."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench.floor import Floor
from bench.load import SCENARIOS, parse
from bench.meter import Meter


class FloorTests(SynchronousTestCase):
    """A process of its own, as when it is measured."""

    def setUp(self) -> None:
        self.floor = Floor(Path(self.mktemp()))
        self.addCleanup(self.floor.stop)
        self.pid = self.floor.start()

    def per_s(self, load: str) -> float:
        """How many operations of a scenario were done in a second."""
        self.assertTrue(self.floor.serves(load))
        options = parse(
            f"{load} --repeat 1 --warmup 0.05 --duration 0.2 "
            f"--port {self.floor.port} --server-pid {self.pid}".split()
        )
        (result,) = SCENARIOS[options.scenario](options, Meter([self.pid]))
        return float(result["ops_per_s"] or 0)

    def test_logins(self) -> None:
        """Clients log in, also those who have been there before."""
        for _ in range(2):
            self.assertGreater(self.per_s("login -n 20"), 0)

    def test_relay(self) -> None:
        """Messages and pings reach the other one of a pair, presence all others."""
        for load in ("chat --pairs 2", "ping -n 2", "presence --contacts 3 --messages 4"):
            with self.subTest(load=load):
                self.assertGreater(self.per_s(load), 0)

    def test_what_it_cannot(self) -> None:
        """It has neither TLS nor rooms, and is left out there."""
        for load in ("login --starttls", "login --mechanism SCRAM-SHA-1", "muc", "chat --managed"):
            self.assertFalse(self.floor.serves(load))
