"""What commands cost: one on the reactor of a large server, a monitor that asks often, and xmppctl.

    python -m bench.commands [--sessions 10000] [--seconds 20] [--beside ../parent]

In memory, so many sessions are online, all of which have sent something in the last minute: how
long the reactor does nothing else while a command is answered, and while what it tells is counted.
Then a server is started, and asked for its status ten times a second: what part of a core that
takes. At last xmppctl itself is timed, from its start to its end, for commands that ask a server.
With another checkout beside it, the last two are taken of both in turn.
"""

import argparse
import json
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path

from bench.compare import machine, number, table
from bench.ours import Beside, Xmppd, python
from xmppd.command.command_context import SHELL
from xmppd.explain.troubles import Surroundings, Troubles
from xmppd.host.failures import Failures
from xmppd.net.traffic_history import PARTS, RANKS
from xmppd.session.peer_counts import Peer
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.web.http_connections import SWEEP_S

SESSIONS = 10_000
RUNS = 5
ASKED_PER_S = 10
SECONDS = 20.0
TURNS = 3
"""Of a monitor, at each of two servers that are compared."""

DOMAIN = "p.test"
HELLO = "<message to='u0@p.test' type='chat'><body>hi</body></message><presence/>"

ASKED: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("stats",),
    ("user", "list"),
    ("session", "list"),
    ("top", "senders"),
    ("top", "stages"),
    ("explain", "login", "nobody@p.test"),
    ("plugin", "list"),
    ("s2s", "list"),
    ("--help",),
)
"""Words of command lines that a server answers."""


class Crowd:
    """A server in memory with many sessions, all of which were busy in the last minute.

    Args:
        sessions: So many.
    """

    def __init__(self, sessions: int) -> None:
        self.house = House(DOMAIN)
        names = [f"u{number}" for number in range(sessions)]
        for name in names:
            self.house.add(name)
        self.clients = self.house.connect(*names)
        self.be_busy()

    def be_busy(self) -> None:
        """Everybody sends something, again and again, for a minute on the clock."""
        for _ in range(10):
            self._send()
            for _ in range(PARTS + 1):
                self.house.clock.advance(SWEEP_S)

    def rows(self) -> list[list[str]]:
        """For each thing that is asked the time on the reactor: the least, and the most."""
        server = self.house.server
        asked: dict[str, Callable[[], object]] = {}
        for part in Peer._fields:
            for minutes in (1, 10):
                given = {"by": part, "minutes": str(minutes)}
                asked[f"top senders --by {part} --minutes {minutes}"] = self._asking(
                    "top senders", given
                )
        for rank in RANKS:
            asked[f"top senders --of {rank}"] = self._asking("top senders", {"of": rank})
        asked["top presence"] = self._asking("top presence", {})
        asked["top stages"] = self._asking("top stages", {})
        troubles = Troubles(server, Surroundings(self.house.plugins, Failures(), unread=tuple))
        asked["status: what is wrong"] = troubles.now
        rows = [[name, *_spread_ms(work)] for name, work in asked.items()]
        clock = self.house.clock
        rows.append(
            [
                "counting, every other second",
                *_spread_ms(lambda: server.traffic_history.look(clock.seconds()), self._send),
            ]
        )
        numbers = server.metrics.numbers
        return [*rows, ["all numbers: stats, a scrape", *_spread_ms(lambda: dict(numbers()))]]

    def _send(self) -> None:
        """Everybody sends something, which nobody reads for long."""
        for client in self.clients:
            client.send(HELLO)
            client.received()

    def _asking(self, name: str, given: Mapping[str, str]) -> Callable[[], object]:
        table_ = self.house.server.commands

        async def all_replies() -> list[object]:
            return [each async for each in table_.replies(*table_.asked(name, given, SHELL))]

        return lambda: done(all_replies())


def _spread_ms(work: Callable[[], object], before: Callable[[], object] = tuple) -> list[str]:
    least_s, most_s = inf, 0.0
    for _ in range(RUNS):
        before()
        began = time.process_time()
        work()
        took_s = time.process_time() - began
        least_s, most_s = min(least_s, took_s), max(most_s, took_s)
    return [number(1e3 * least_s), number(1e3 * most_s)]


def monitored(server: Xmppd, seconds: float) -> tuple[float, float]:
    """The part of a core that a server takes: while nobody asks, and while a monitor does."""
    pid = int(server.pid_file.read_text().split()[0])
    idle = _part_of_a_core(pid, seconds / 4, lambda: time.sleep(1 / ASKED_PER_S))

    def ask() -> None:
        began = time.perf_counter()
        _ask(server.data / "xmppctl.sock", ("status",))
        time.sleep(max(0.0, 1 / ASKED_PER_S - (time.perf_counter() - began)))

    return idle, _part_of_a_core(pid, seconds, ask)


def _part_of_a_core(pid: int, seconds: float, work: Callable[[], object]) -> float:
    began, before_s = time.perf_counter(), _cpu_s(pid)
    while time.perf_counter() - began < seconds:
        work()
    return (_cpu_s(pid) - before_s) / (time.perf_counter() - began)


def _cpu_s(pid: int) -> float:
    """The time on a processor of all threads, to the microsecond."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def _ask(path: Path, words: Sequence[str]) -> None:
    """What xmppctl says to a server, without the time that it takes itself."""
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rb") as lines:
        connection.connect(str(path))
        request = {"id": 1, "words": list(words), "width": 80, "directory": "/"}
        connection.sendall(json.dumps(request).encode() + b"\n")
        while not json.loads(lines.readline()).get("done"):
            pass


def asked(server: Xmppd, words: Sequence[str]) -> tuple[float, float]:
    """The time that xmppctl takes for a command, and its CPU time."""
    code = "import sys; sys.argv[0] = 'xmppctl'; from xmppd.ctl.main import main; main()"
    command = [python(), "-c", code, "--data", str(server.data), *words]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(
        command, check=False, capture_output=True, cwd=server.directory, env=server.environment()
    )
    took_s = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return took_s, cpu_s


def of_servers(servers: Sequence[Xmppd], seconds: float) -> None:
    """Print what a monitor takes of each server, and what xmppctl takes for its commands."""
    for server in servers:
        server.level = "info"  # as by default: who gives commands is in it
        server.start()
    try:
        time.sleep(2.0)  # what a start has left to do
        monitors: dict[str, list[tuple[float, float]]] = {each.name: [] for each in servers}
        for _ in range(TURNS if len(servers) > 1 else 1):
            for server in servers:
                monitors[server.name].append(monitored(server, seconds))
        print(f"### A monitor asks for the status {ASKED_PER_S} times a second\n")
        rows = [
            [
                server.version(),
                f"{100 * min(idle for idle, _ in monitors[server.name]):.2f} %",
                f"{100 * min(busy for _, busy in monitors[server.name]):.2f} %",
            ]
            for server in servers
        ]
        print(table(["server", "of a core, unasked", "of a core"], rows), end="\n\n")
        print("### xmppctl, from its start to its end, in ms: least / median\n")
        rows = []
        for words in ASKED:
            row = [" ".join(words)]
            took = [[asked(server, words) for server in servers] for _ in range(4 * RUNS)]
            for place in range(len(servers)):
                for figure in (0, 1):
                    found = [each[place][figure] for each in took]
                    row.append(f"{1e3 * min(found):.0f} / {1e3 * statistics.median(found):.0f}")
            rows.append(row)
        heads = [f"{server.name}: {what}" for server in servers for what in ("wall", "CPU")]
        print(table(["xmppctl", *heads], rows), end="\n\n")
    finally:
        for server in servers:
            server.stop()


def main() -> int:
    """Print all of it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sessions", type=int, default=SESSIONS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--beside", type=Path, help="another checkout")
    options = parser.parse_args()
    print(f"{machine()}\n")
    if options.sessions:
        print(f"### On the reactor, with {options.sessions} sessions, in ms\n")
        rows = Crowd(options.sessions).rows()
        print(table(["what", "least", "most"], rows), end="\n\n")
    if options.seconds:
        with tempfile.TemporaryDirectory() as directory:
            servers = [Xmppd(Path(directory))]
            if options.beside is not None:
                servers.append(Beside(Path(directory), options.beside))
            of_servers(servers, options.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
