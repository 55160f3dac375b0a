"""What is measured in memory, of this checkout and another one in turn: least figures, and ratios.

    python -m bench.in_turn ../parent login
    python -m bench.in_turn ../parent records --rounds 10
    python -m bench.in_turn ../parent doors

Each round is a new process for each of both, so that no run inherits another's heap, and whatever
else the machine does falls on both. This checkout does the measuring.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from math import inf
from pathlib import Path

from bench.compare import machine, number, table
from bench.doors import door_costs
from bench.login import socket_login_costs
from bench.ours import ROOT, python
from bench.tls import record_costs
from bench.where import login_costs

MEASURES: dict[str, Callable[[], dict[str, float]]] = {
    "doors": door_costs,
    "login": login_costs,
    "records": record_costs,
    "sockets": socket_login_costs,
}
"""Each says what some things cost, in microseconds: the least of some runs."""

_MEASURE = """
import sys
sys.path[:0] = [{ours!r}]
import bench  # ours; all else is that of the other checkout
sys.path[0] = {root!r}
from bench.in_turn import tell
tell({measure!r})
"""


def tell(measure: str) -> None:
    """Measure, and print it for :func:`measured`."""
    print(json.dumps(MEASURES[measure]()))


def measured(root: Path, measure: str) -> dict[str, float]:
    """What is measured of a checkout, by a process of its own."""
    code = _MEASURE.format(ours=str(ROOT), root=str(root), measure=measure)
    environment = {**os.environ, "PYTHONPATH": "", "PYTHONHASHSEED": "0"}
    told = subprocess.run(
        [python(), "-c", code], env=environment, check=True, stdout=subprocess.PIPE
    )
    found: dict[str, float] = json.loads(told.stdout)
    return found


def in_turn(roots: tuple[Path, ...], measure: str, rounds: int) -> list[dict[str, float]]:
    """The least figures of each checkout."""
    least: list[dict[str, float]] = [{} for _ in roots]
    for _ in range(rounds):
        for root, known in zip(roots, least, strict=True):
            for name, cost_us in measured(root, measure).items():
                known[name] = min(cost_us, known.get(name, inf))
    return least


def main() -> int:
    """Print a table of both."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("parent", type=Path, help="the other checkout")
    parser.add_argument("measure", choices=sorted(MEASURES))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    before, after = in_turn((options.parent.resolve(), ROOT), options.measure, options.rounds)
    rows = [
        [name, number(before[name]), number(cost_us), f"{cost_us / before[name]:.3f}"]
        for name, cost_us in after.items()
    ]
    print(f"{machine()}\n")
    print(table([f"{options.measure}, µs, least", "before", "after", "ratio"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
