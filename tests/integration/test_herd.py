"""Everybody comes back at once after a restart, while two who are online talk to each other."""

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from bench.load import herd as scenario
from bench.load import parse, set_up
from bench.meter import Meter, Result
from xmppd.testing.process import ServerProcess

USERS, CONTACTS = 300, 20
MAX_P99_MS = 1_000.0
"""What two cores manage that have other work too; measured when idle: 25 ms."""


class HerdTests(SynchronousTestCase):
    def setUp(self) -> None:
        # A short path: that of a Unix socket may have 107 characters.
        self.directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, self.directory)
        self.server = ServerProcess(self.directory, "verona.lit")
        self.server.start()
        self.addCleanup(self.server.stop)

    def herd(self) -> Result:
        """What the tool measures."""
        options = parse(
            ["herd", "--starttls", "-n", str(USERS), "--contacts", str(CONTACTS), "--repeat", "1",
             "--host", self.server.host, "--port", str(self.server.port),
             "--domain", self.server.domain, "--data", str(self.directory / "data"),
             "--server-pid", str(self.server.pid)]
        )  # fmt: skip
        meter = Meter(options.server_pid)
        set_up(options, meter)
        (result,) = scenario(options, meter)
        return result

    def test_herd(self) -> None:
        """All are back, each contact was heard of once, and who was online noticed little."""
        self.server.kill()
        self.server.start()
        result = self.herd()
        self.assertEqual(result["presences_per_needed"], 1.0)
        self.assertEqual(result["logins_refused"], 0)
        self.assertEqual(result["logins_begun"], USERS + 2)
        self.assertLess(float(result["p99_ms"] or 0.0), MAX_P99_MS)
