"""Several benches on one machine."""

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench import server
from bench.ours import ROOT
from bench.server import ServerError, free_port

FIRST = 19_300
TRIED = 6
OTHER = f"""
from bench import server
server.PORTS_TO_TRY = {TRIED}
for _ in range({TRIED - 1}):
    print(server.free_port({FIRST}))
print("", flush=True)
input()
"""


class PortTests(SynchronousTestCase):
    def test_two_benches(self) -> None:
        """Of a port that one bench has for a server which has yet to start, another one makes no
        use, so that neither measures the server of the other.
        """
        self.patch(server, "PORTS_TO_TRY", TRIED)
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", OTHER]
        with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout is not None
            theirs = {int(line) for line in iter(other.stdout.readline, "\n")}
            ours = free_port(FIRST)
            self.assertEqual({ours, *theirs}, set(range(FIRST, FIRST + TRIED)))
            self.assertRaises(ServerError, free_port, FIRST)
            other.communicate("\n")
        self.assertIn(free_port(FIRST), theirs)

    def test_many(self) -> None:
        """A bench keeps so many ports from others; those of before have servers by then."""
        self.patch(server, "PORTS_TO_TRY", server.MAX_RESERVED + 1)
        ports = {free_port(FIRST + TRIED) for _ in range(server.MAX_RESERVED + 1)}
        self.assertEqual(len(ports), server.MAX_RESERVED + 1)
        self.assertIn(free_port(FIRST + TRIED), ports)
