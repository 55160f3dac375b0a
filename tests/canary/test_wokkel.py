"""wokkel's own tests, behind our bridge: they tell first what an upgrade of Twisted breaks."""

import os
import re
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[2]
PATIENCE_S = 120
TESTS = 657
SUITE = """
import sys
import xmppd.components.wokkel_bridge
from twisted.scripts.trial import run
sys.argv = ["trial", "--reporter=text", "wokkel.test"]
run()
"""
KNOWN = {
    # compares b"host" with "host"
    "wokkel.test.test_client.ClientCreatorTest.test_call",
    # expect one warning, and see a second one that is Twisted's
    "wokkel.test.test_xmppim.RosterClientProtocolTest.test_onRosterRemove",
    "wokkel.test.test_xmppim.RosterClientProtocolTest.test_onRosterSet",
}
"""What fails in the tests themselves, and in nothing they test."""

UNSTEADY = {"wokkel.test.test_component.ComponentTest.test_stopServiceNoReconnect"}
"""Connects to a port where nobody listens, and depends on how soon it is refused."""


class WokkelTests(SynchronousTestCase):
    def test_own_suite(self) -> None:
        """All of wokkel's tests run, and those fail that are known to, and no other."""
        ended = subprocess.run(
            [sys.executable, "-c", SUITE],
            cwd=self.make_directory(),
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default"},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        failed = set(re.findall(r"^wokkel\.test\.\S+$", ended.stdout, re.MULTILINE))
        self.assertEqual(failed - UNSTEADY, KNOWN, ended.stdout[-5_000:] + ended.stderr[-5_000:])
        self.assertIn(f"Ran {TESTS} tests", ended.stdout)

    def make_directory(self) -> Path:
        """Where trial keeps its own files."""
        path = Path(self.mktemp())
        path.mkdir()
        return path
