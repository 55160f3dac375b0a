"""The compiled build: a wheel of this machine, made from the very same source."""

import signal

from tests.integration.processes import ROOT, Peer
from tests.integration.wheel_case import WheelCase

EXAMPLES = 1_000


class CompiledTests(WheelCase):
    def test_builds(self) -> None:
        """A server says which build runs: the compiled one; the pure one, if the environment wants
        it; and the pure one, when the compiled files were taken away. Both hear the same.
        """
        self.install_ours(compiled=True)
        self.good([str(self.home / "bin/xmppd"), "--version"])
        self.ctl("user", "add", "romeo", "--stdin", input="a rose\n")
        self.runs("compiled")
        self.runs("pure", forced="1")
        (self.directory / "tests").symlink_to(ROOT / "tests")
        compare = [str(self.home / "bin/python"), "-m", "tests.unit.stream.both_builds"]
        said = self.good([*compare, str(EXAMPLES), "1"]).stdout
        self.assertIn("no difference between builds", said)
        for module in self.packages.rglob("*.so"):
            module.unlink()
        self.runs("pure")

    def runs(self, build: str, *, forced: str = "") -> None:
        """A server of this build, to which somebody can log in, starts and stops."""
        start = [str(self.home / "bin/xmppd"), "run", "--config", str(self.config)]
        process = self.start(*start, PYTHONPATH="", XMPPD_PURE=forced)
        self.assertIn(f"this is the {build} build of xmppd ", self.text())
        self.assertEqual(self.rows("status")[-1]["build"], build)
        romeo = Peer(self.ports()[1])
        romeo.log_in("romeo", "a rose")
        romeo.close()
        process.send_signal(signal.SIGTERM)
        process.wait()
