"""Whether an xmppd stays as cheap as it was: after many logins, and beside many idle clients.

    python -m bench.aged [--repetitions N] [--scenario REGEX]

Three of them run in turn, so that what else the machine does falls on all: one that has just been
started, one that has seen LOGINS clients come and go, and one with IDLE_SESSIONS clients that do
nothing. Each is restarted, and aged anew, before each scenario.
"""

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

from bench.compare import RESULTS, SCENARIOS, Results, Run, Scenario, machine, median, number, table
from bench.fill import fill
from bench.load import CONTROL, DATABASE
from bench.ours import ROOT, Xmppd
from bench.server import Server, ServerError
from xmppd.ctl.asking import ask

LOGINS = 20_000
CLIENTS_AT_ONCE = 500
IDLE_SESSIONS = 8_000
IDLERS_TIMEOUT_S = 300.0
CHOSEN = "^(login-plain|chat-w1|chat-w20|presence-50|ping-w1)$"
PASSWORD = "pw"


class Aged(Xmppd):
    """A server that has seen many clients come and go."""

    name: ClassVar[str] = "aged"

    def start(self) -> int:
        """Run, and let many clients come and go."""
        pid = super().start()
        self._make_accounts(CLIENTS_AT_ONCE)
        repeat = str(LOGINS // CLIENTS_AT_ONCE)
        subprocess.run(
            self.load(pid, "login", "-n", str(CLIENTS_AT_ONCE), "--repeat", repeat),
            cwd=ROOT, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        return pid

    def load(self, pid: int, scenario: str, *more: str) -> list[str]:
        """The command that makes load on it, by users that take no part in the measurement."""
        command = [sys.executable, "-m", "bench.load", scenario, "--server-pid", str(pid)]
        return [*command, "--port", str(self.port), "--prefix", "beside", *more]

    def _make_accounts(self, count: int) -> None:
        accounts: dict[str, list[str]] = {f"beside{n}@{self.domain}": [] for n in range(count)}
        fill(f"sqlite:///{self.data / DATABASE}", PASSWORD, accounts)


class Crowded(Aged):
    """A server with many idle clients."""

    name = "crowded"
    idlers: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Run, and wait until all of them are there."""
        pid = Xmppd.start(self)
        self._make_accounts(IDLE_SESSIONS)
        self.idlers = subprocess.Popen(
            self.load(pid, "idle", "-n", str(IDLE_SESSIONS), "--duration", "86400"),
            cwd=ROOT, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + IDLERS_TIMEOUT_S
        while self._sessions() < IDLE_SESSIONS:
            if time.monotonic() > end or self.idlers.poll() is not None:
                raise ServerError(f"{IDLE_SESSIONS} clients could not be brought online")
            time.sleep(0.5)
        return pid

    def stop(self) -> None:
        """Stop the idle clients first."""
        if self.idlers is not None:
            self.idlers.terminate()
            self.idlers.wait()
            self.idlers = None
        super().stop()

    def _sessions(self) -> float:
        rows = [row for row in ask(self.data / CONTROL, "stats", {}) if isinstance(row, dict)]
        return next(float(str(row["value"])) for row in rows if row["statistic"] == "sessions")


def report(scenarios: list[Scenario], results: Results) -> str:
    """The cost of an operation on each of them, in Markdown."""
    rows = []
    for scenario in scenarios:
        fresh, aged, crowded = (
            median(results[scenario.name][kind.name], "cpu_us_per_op")
            for kind in (Xmppd, Aged, Crowded)
        )
        ratios = [f"{cost / fresh:.2f}" if fresh and cost else "–" for cost in (aged, crowded)]
        rows.append([scenario.name, scenario.per, *map(number, (fresh, aged, crowded)), *ratios])
    head = ["scenario", "per", "fresh", "aged", "crowded", "aged / fresh", "crowded / fresh"]
    return (
        f"Server CPU, µs per operation, median: just started; after {LOGINS} logins and logouts;"
        f" beside {IDLE_SESSIONS} idle sessions.\n{machine()}\n\n{table(head, rows)}"
    )


def main() -> int:
    """Compare the three, print the report, leave no server running."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default=CHOSEN, metavar="REGEX", help="names to run")
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    scenarios = [found for found in SCENARIOS if re.search(options.scenario, found.name)]
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="xmppd-bench-") as directory:
        servers: list[Server] = [kind(Path(directory)) for kind in (Xmppd, Aged, Crowded)]
        path = RESULTS / f"aged-{time.strftime('%Y%m%d-%H%M%S')}.jsonl"
        with path.open("w") as lines:
            run = Run(servers, options.repetitions, 1.5, lines)
            try:
                results = run.set_up(scenarios)
                for scenario in scenarios:
                    run.measure(scenario, results[scenario.name])
            except ServerError as error:
                print(error, file=sys.stderr)
                return 1
    print(report(scenarios, results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
