"""Several benches on one machine."""

import contextlib
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from bench import server
from bench.ours import ROOT
from bench.server import HOST, ServerError, free_port

TRIED = 6
OTHER = f"""
import sys
from bench import server
server.PORTS_TO_TRY = {TRIED}
for _ in range({TRIED - 1}):
    print(server.free_port(int(sys.argv[1])))
print("", flush=True)
input()
"""


def is_free(port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as attempt, contextlib.suppress(OSError):
        attempt.bind((HOST, port))
        return True
    return False


def free_span(count: int) -> int:
    """The first of so many ports in a row where nobody listens."""
    for first in range(20_000, 32_000, count):
        if all(is_free(port) for port in range(first, first + count)):
            return first
    raise AssertionError(f"there are no {count} free ports in a row")


class PortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(server, "_reserved", {})

    def test_two_benches(self) -> None:
        """Of a port that one bench has for a server which has yet to start, another one makes no
        use, so that neither measures the server of the other.
        """
        self.patch(server, "PORTS_TO_TRY", TRIED)
        pipe = subprocess.PIPE
        first = free_span(TRIED)
        command = [sys.executable, "-c", OTHER, str(first)]
        with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdout is not None
            theirs = {int(line) for line in iter(other.stdout.readline, "\n")}
            ours = free_port(first)
            self.assertEqual({ours, *theirs}, set(range(first, first + TRIED)))
            self.assertRaises(ServerError, free_port, first)
            other.communicate("\n")
        self.assertIn(free_port(first), theirs)

    def test_many(self) -> None:
        """A bench keeps so many ports from others; those of before have servers by then."""
        many = server.MAX_RESERVED + 1
        self.patch(server, "PORTS_TO_TRY", many)
        first = free_span(many)
        ports = {free_port(first) for _ in range(many)}
        self.assertEqual(len(ports), many)
        self.assertIn(free_port(first), ports)
