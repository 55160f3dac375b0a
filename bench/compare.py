"""Run the scenarios against xmppd, alone or in turn with its peers, and print what they cost.

    python -m bench.compare [--peers] [--quick] [--scenario REGEX] …

For each scenario all servers are restarted on the data they have; then, for each repetition, one
server after the other is measured, so that other work of the machine falls on all of them.
"""

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bench.floor import Floor
from bench.meter import Result
from bench.ours import ROOT, Beside, Xmppd
from bench.peers import PEERS
from bench.server import Server, ServerError

RESULTS = ROOT / "bench" / "results"
OTHERS = (Floor.name, Beside.name)
"""Servers beside ours that are no peers."""

LOAD_TIMEOUT_S = 900.0
SETTLE_S = 1.0


@dataclass(frozen=True)
class Scenario:
    """A scenario of bench.load: its options, and the goal for it."""

    name: str
    load: str
    """Arguments of bench.load; {unique} is a new word for every repetition."""
    per: str
    target_us: float | None = None
    wanted_ratio: float | None = None
    hashed: bool = False
    """Whether the peers, too, shall keep the passwords hashed."""
    quick: bool = False
    archives: bool = False
    """Whether all servers archive what is said."""
    publishes: bool = False
    """Whether accounts publish at the peers as well; at xmppd they always do."""

    @property
    def needs_setup(self) -> bool:
        """Whether there must be accounts before."""
        return "{unique}" not in self.load


SCENARIOS = (
    Scenario("register", "register -n 200 --prefix {unique}x", "account", hashed=True),
    Scenario("login-plain", "login", "login", 250, 2.0, quick=True),
    Scenario("login-plain-hashed", "login -n 300", "login", hashed=True),
    Scenario(
        "login-scram-sha-1",
        "login --mechanism SCRAM-SHA-1",
        "login",
        290,
        2.0,
        hashed=True,
        quick=True,
    ),
    Scenario("login-scram-sha-256", "login -n 300 --mechanism SCRAM-SHA-256", "login"),
    Scenario("login-starttls", "login --starttls", "login", 830, 1.3, quick=True),
    Scenario("chat-w1", "chat", "message", 16, 2.4, quick=True),
    Scenario("chat-w1-full", "chat --to full", "message"),
    Scenario("chat-w20", "chat --window 20", "message", 9, 2.9, quick=True),
    Scenario("chat-w1-tls", "chat --starttls", "message", 25, quick=True),
    Scenario("chat-w20-tls", "chat --starttls --window 20", "message", 18),
    Scenario("component-w20", "component --window 20", "message"),
    Scenario("carbons-w1", "carbons --to full", "message"),
    Scenario("carbons-w20", "carbons --to full --window 20", "message"),
    Scenario("managed-w1", "chat --managed", "message"),
    Scenario("managed-w20", "chat --managed --window 20", "message"),
    Scenario("archive-w1", "chat --managed", "message", 60, 7, archives=True),
    Scenario("archive-w20", "chat --managed --window 20", "message", 40, 10, archives=True),
    Scenario(
        "archive-carbons",
        "carbons --to full --managed --resources 2",
        "message",
        100,
        archives=True,
    ),
    Scenario("archive-rate-2000", "rate --rate 2000", "message", archives=True),
    Scenario("rate-500", "rate --rate 500", "message"),
    Scenario("rate-2000", "rate --rate 2000", "message", quick=True),
    Scenario("presence-50", "presence --messages 400", "delivery", 4, 4, quick=True),
    Scenario("presence-200", "presence --contacts 200 --messages 150", "delivery", 4, 4),
    Scenario("presence-1000", "presence --contacts 1000 --messages 40", "delivery", 6, 4),
    Scenario(
        "pep-publish-200",
        "pep --contacts 200 --messages 150",
        "notification",
        4,
        4,
        quick=True,
        publishes=True,
    ),
    Scenario("pep-login-50", "peplogin --contacts 50 --messages 20", "login", publishes=True),
    Scenario("pubsub-publish", "storing -n 20", "item", 150, publishes=True),
    Scenario("bookmarks-100", "bookmarks -n 10", "get", 1_000, publishes=True),
    Scenario("storm-300x30", "storm -n 300 --contacts 30", "client", 800, 2.5, quick=True),
    Scenario("herd-300x20", "herd -n 300 --contacts 20 --starttls", "client"),
    Scenario("muc-100", "muc --messages 200", "delivery", 5, 4, quick=True),
    Scenario("archive-muc-100", "muc --messages 200 --persistent", "delivery", 5, 4, archives=True),
    Scenario("muc-1000", "muc --messages 40 --occupants 1000", "delivery", 4.5, 4),
    Scenario("muc-presence-100", "mucpresence --messages 200", "delivery", 5, 4),
    Scenario("muc-join-1000", "mucjoin --messages 10 --occupants 1000", "join", 12_000, 4),
    Scenario("muc-rooms-1000", "mucrooms --messages 2 --occupants 10", "delivery", 8, 4),
    Scenario("ping-w1", "ping -n 50", "ping", 9, 2.6, quick=True),
    Scenario("ping-w20", "ping -n 50 --window 20", "ping"),
    Scenario("idle-2000", "idle -n 2000 --duration 10", "second"),
)

WANTED_MEMORY = {"login-plain": "8 KB, 4×", "login-starttls": "34 KB, 1.4×", "idle-2000": "–"}
"""Only where the measured login is the first after a restart; later ones reuse the heap."""
WANTED_LATENCY = {"rate-2000": "0.30 / 0.50 ms"}

Results = dict[str, dict[str, list[Result]]]
"""Repetitions by scenario and server, in the order they ran."""


# -- running -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One comparison: its servers, its repetitions, and the file for the lines."""

    servers: list[Server]
    repetitions: int
    duration_s: float | None
    lines: TextIO

    def set_up(self, scenarios: list[Scenario]) -> Results:
        """Create accounts and rosters for all scenarios; what comes back are failures."""
        failed: Results = {scenario.name: defaultdict(list) for scenario in scenarios}
        with running(self.servers) as pids:
            for scenario in scenarios:
                for server in self.servers if scenario.needs_setup else []:
                    if not server.keeps_accounts:
                        continue
                    print(f"{scenario.name} {server.name}: setting up", file=sys.stderr)
                    found = self._load(scenario, server, pids[server.name], "--setup")
                    failed[scenario.name][server.name] = found
        return failed

    def measure(self, scenario: Scenario, results: dict[str, list[Result]]) -> None:
        """Restart the servers and measure them in turn; one that failed is not asked again."""
        servers = [server for server in self.servers if server.serves(scenario.load)]
        with running(servers, archives=scenario.archives, publishes=scenario.publishes) as pids:
            time.sleep(SETTLE_S)
            for repetition in range(self.repetitions):
                for server in servers:
                    if any("error" in result for result in results[server.name]):
                        continue
                    found = self._load(scenario, server, pids[server.name])
                    results[server.name] += found
                    for result in found:
                        self._record(scenario, server, repetition, result)

    def _load(self, scenario: Scenario, server: Server, pid: int, *more: str) -> list[Result]:
        command: list[str] = []
        if self.duration_s is not None:  # before the options of the scenario, which count more
            command += ["--duration", str(self.duration_s)]
        command += scenario.load.format(unique=f"n{time.time_ns()}").split()
        command += ["--domain", server.hashed_domain if scenario.hashed else server.domain]
        command += ["--port", str(server.port), "--component-port", str(server.component_port)]
        command += ["--server-pid", str(pid), *more]
        if isinstance(server, Xmppd):
            command += ["--data", str(server.data)]
        return load(command)

    def _record(self, scenario: Scenario, server: Server, repetition: int, result: Result) -> None:
        names: Result = {
            "scenario": scenario.name,
            "server": server.name,
            "repetition": repetition,
        }
        print(json.dumps(names | result), file=self.lines, flush=True)
        told = result.get("error") or f"{result['cpu_us_per_op']} µs per {scenario.per}"
        print(f"{scenario.name} {server.name} {repetition + 1}: {told}", file=sys.stderr)


def load(arguments: list[str]) -> list[Result]:
    """The repetitions of one run of bench.load; what it could not do is an error in them."""
    command = [sys.executable, "-m", "bench.load", "--repeat", "1", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            timeout=LOAD_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return [{"error": f"not done after {LOAD_TIMEOUT_S:.0f} s"}]
    results: list[Result] = [json.loads(line) for line in done.stdout.splitlines()]
    if done.returncode and not results:
        return [{"error": f"bench.load ended with {done.returncode}"}]
    return results


@contextmanager
def running(
    servers: list[Server], *, archives: bool = False, publishes: bool = False
) -> Iterator[dict[str, int]]:
    """Have all servers run, restarted, and tell their pids; afterwards none runs.

    Args:
        servers: These.
        archives: Whether they archive messages.
        publishes: Whether accounts publish.
    """
    for server in servers:
        server.archives, server.publishes = archives, publishes
    try:
        yield {server.name: server.start() for server in servers}
    finally:
        for server in servers:
            server.stop()


# -- reporting ---------------------------------------------------------------------------


def values(results: list[Result], field: str) -> list[float]:
    """The values of one field in all repetitions."""
    return [float(value) for result in results if (value := result.get(field)) is not None]


def median(results: list[Result], field: str) -> float | None:
    """The median over the repetitions."""
    found = values(results, field)
    return statistics.median(found) if found else None


def spread(results: list[Result], field: str) -> str:
    """Min / median / max."""
    found = values(results, field)
    if not found:
        return "–"
    return f"{number(min(found))} / **{number(statistics.median(found))}** / {number(max(found))}"


def number(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratio(results: dict[str, list[Result]], figure: Callable[[list[Result]], float | None]) -> str:
    """How many times better than the best peer we are."""
    ours = figure(results.get(Xmppd.name, []))
    peers = [figure(results[peer.name]) for peer in PEERS if peer.name in results]
    known = [peer for peer in peers if peer is not None]
    return f"{min(known) / ours:.2g}×" if known and ours else "–"


def share(results: dict[str, list[Result]], of: str, by: str) -> str:
    """What one server takes of what another does: the smallest figures, and the medians."""
    parts = []
    for figure in (min, statistics.median):
        one, other = (values(results.get(name, []), "cpu_us_per_op") for name in (of, by))
        parts.append(f"{figure(one) / figure(other):.2f}" if one and other else "–")
    return " / ".join(parts)


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cpu_table(scenarios: list[Scenario], results: Results, names: list[str]) -> str:
    """The cost of an operation for the server, and whether that meets the goal."""
    rows = []
    for scenario in scenarios:
        of = results[scenario.name]
        target = "–" if scenario.target_us is None else f"{number(scenario.target_us)} µs"
        wanted = f", {scenario.wanted_ratio:g}×" if scenario.wanted_ratio else ""
        spreads = [spread(of[name], "cpu_us_per_op") for name in names]
        better = ratio(of, lambda found: median(found, "cpu_us_per_op"))
        shares = [share(of, Xmppd.name, name) for name in names if name in OTHERS]
        rows.append([scenario.name, scenario.per, *spreads, *shares, better, target + wanted])
    shared = [f"ours / {name}" for name in names if name in OTHERS]
    return table(["scenario", "per", *names, *shared, "best peer / ours", "wanted"], rows)


def latency_table(scenarios: list[Scenario], results: Results, names: list[str]) -> str:
    """Median latencies; those of a fan-out are of its last delivery."""
    rows = []
    for scenario in scenarios:
        of = results[scenario.name]
        if not any(values(of[name], "p50_ms") for name in names):
            continue
        cells = [
            " / ".join(number(median(of[name], field)) for field in ("p50_ms", "p95_ms", "p99_ms"))
            for name in names
        ]
        better = ratio(of, lambda found: median(found, "p95_ms"))
        rows.append([scenario.name, *cells, better, WANTED_LATENCY.get(scenario.name, "–")])
    return table(["scenario", *names, "best peer / ours, p95", "wanted p95 / p99"], rows)


def memory_table(scenarios: list[Scenario], results: Results, names: list[str]) -> str:
    """Resident memory a session adds, in the first repetition."""
    rows = []
    for scenario in scenarios:
        if scenario.name not in WANTED_MEMORY:
            continue
        of = results[scenario.name]
        cells = [number(median(of[name][:1], "kb_per_session")) for name in names]
        better = ratio(of, lambda found: median(found[:1], "kb_per_session"))
        rows.append([scenario.name, *cells, better, WANTED_MEMORY[scenario.name]])
    return table(["scenario", *names, "best peer / ours", "wanted"], rows)


def median_table(scenarios: list[Scenario], results: Results, names: list[str], field: str) -> str:
    """Medians of one field."""
    rows = [
        [scenario.name, *(number(median(results[scenario.name][name], field)) for name in names)]
        for scenario in scenarios
    ]
    return table(["scenario", *names], rows)


def failures(results: Results) -> str:
    """The failures, in the words of the tool."""
    return "\n".join(
        f"- {scenario}, {name}: {result['error']}"
        for scenario, of in results.items()
        for name, repetitions in of.items()
        for result in repetitions
        if "error" in result
    )


def report(scenarios: list[Scenario], results: Results, servers: list[Server]) -> str:
    """The whole report in Markdown."""
    names = [server.name for server in servers]
    parts = [
        f"# Measured {time.strftime('%Y-%m-%d %H:%M')}",
        f"{machine()}\n\n" + "\n".join(f"- {server.version()}" for server in servers),
        "## Server CPU, µs per operation (min / **median** / max)",
        cpu_table(scenarios, results, names),
        "## Latency, ms (p50 / p95 / p99)",
        latency_table(scenarios, results, names),
        "## Resident memory, KB per session",
        memory_table(scenarios, results, names),
        "## Operations per second, wall clock",
        median_table(scenarios, results, names, "ops_per_s"),
        "## Other load, cores",
        median_table(scenarios, results, names, "other_load"),
    ]
    if failed := failures(results):
        parts += ["## Not measured", failed]
    return "\n\n".join(parts)


def machine() -> str:
    """Processor, cores, kernel, and the Python that made the load."""
    found = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return (
        f"{found[1] if found else platform.machine()}, {os.cpu_count()} cores, "
        f"Linux {platform.release()}; load made by Python {platform.python_version()}."
    )


# -- the command line --------------------------------------------------------------------


class Options(argparse.Namespace):
    """The command line."""

    peers: bool
    only: list[str]
    floor: bool
    beside: Path | None
    quick: bool
    scenario: str
    repetitions: int | None
    data: Path | None


def parse() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    every = [Xmppd.name, *(peer.name for peer in PEERS)]
    parser.add_argument("--peers", action="store_true", help="beside prosody and ejabberd")
    parser.add_argument("--only", choices=every, nargs="+", default=[], help="just these servers")
    parser.add_argument("--floor", action="store_true", help="beside a relay without XMPP")
    parser.add_argument("--beside", type=Path, help="beside the xmppd of another checkout")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter: a few minutes")
    parser.add_argument("--scenario", default="", metavar="REGEX", help="names to run")
    parser.add_argument("--repetitions", type=int, help="of each scenario (5; quick: 3)")
    parser.add_argument("--data", type=Path, help="keep the servers' data here between runs")
    return parser.parse_args(namespace=Options())


def chosen_servers(options: Options, directory: Path) -> list[Server]:
    """The servers that take part; all must be installed."""
    kinds: list[type[Server]] = [Xmppd, *(PEERS if options.peers or options.only else ())]
    servers = [kind(directory) for kind in kinds if not options.only or kind.name in options.only]
    if options.floor:
        servers.append(Floor(directory))
    if options.beside is not None:
        servers.append(Beside(directory, options.beside))
    for server in servers:
        server.check_installed()
    return servers


def chosen_scenarios(options: Options) -> list[Scenario]:
    """Those whose name matches; of them in a quick run only the quick ones."""
    found = [scenario for scenario in SCENARIOS if re.search(options.scenario, scenario.name)]
    if not found:
        names = ", ".join(scenario.name for scenario in SCENARIOS)
        raise ServerError(f"no scenario matches {options.scenario}; there are {names}")
    if options.quick and not options.scenario:
        found = [scenario for scenario in found if scenario.quick]
    return found


def compare(options: Options, directory: Path) -> str:
    """Measure everything and write the report."""
    servers, scenarios = chosen_servers(options, directory), chosen_scenarios(options)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
    with path.open("w") as lines:
        run = Run(
            servers,
            options.repetitions or (3 if options.quick else 5),
            1.5 if options.quick else None,
            lines,
        )
        results = run.set_up(scenarios)
        for scenario in scenarios:
            run.measure(scenario, results[scenario.name])
    return report(scenarios, results, servers)


def main() -> int:
    """Compare, print the report, leave no server running."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    options = parse()
    try:
        if options.data is not None:
            print(compare(options, options.data))
        else:
            with tempfile.TemporaryDirectory(prefix="xmppd-bench-") as directory:
                print(compare(options, Path(directory)))
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
