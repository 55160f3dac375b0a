"""Meter: the CPU time of a server's processes and their children, and its memory."""

import os
import re
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.client import BenchError, Connections

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
AT_REST_CORES = 0.04
"""What a server at rest uses, at most; of several, each."""

PEAK_KB = re.compile(r"^VmHWM:\s*(\d+)", re.MULTILINE)
RESET_PEAK = "5"  # proc_pid_clear_refs(5)
RESIDENT_KB = re.compile(r"^VmRSS:\s*(\d+)", re.MULTILINE)

Result = dict[str, float | int | str | None]
"""One repetition, as it is written to a JSON line."""


@dataclass(frozen=True)
class Reading:
    """The readings of the clocks at one moment, in seconds."""

    wall_s: float
    server_cpu_s: float
    own_cpu_s: float
    machine_busy_s: float
    beside_cpu_s: float = 0.0


class Meter:
    """Reads the clocks of the measured processes (all threads) and of their descendants.

    Args:
        pids: The servers.
        beside: Processes that they need, whose clocks are read apart.
    """

    def __init__(self, pids: list[int], beside: Sequence[int] = ()) -> None:
        self.pids = pids
        self.beside = list(beside)

    def read(self) -> Reading:
        """Read all clocks."""
        return Reading(
            time.perf_counter(),
            self.server_cpu_s(),
            time.process_time(),
            machine_busy_s(),
            cpu_s(self.beside),
        )

    def server_cpu_s(self) -> float:
        """User and system time the server has used since it started."""
        return cpu_s(self.pids)

    def rss_kb(self) -> int:
        """Resident memory now."""
        total = 0
        for pid in with_descendants(self.pids):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except OSError:  # a short-lived child has gone
                continue
            total += sum(int(kb) for kb in RESIDENT_KB.findall(status))
        return total

    def peak_kb(self) -> int:
        """The most memory that was resident since :meth:`forget_peak`."""
        return sum(
            int(kb)
            for pid in self.pids
            for kb in PEAK_KB.findall(Path(f"/proc/{pid}/status").read_text())
        )

    def forget_peak(self) -> None:
        """Look for the peak from here on."""
        for pid in self.pids:
            Path(f"/proc/{pid}/clear_refs").write_text(RESET_PEAK)

    def settle(self, connections: Connections | None = None, timeout_s: float = 5.0) -> None:
        """Wait until the server is at rest, reading meanwhile what it still sends."""
        end = time.perf_counter() + timeout_s
        while (began := time.perf_counter()) < end:
            cpu_s = self.server_cpu_s()
            if connections is not None and connections.clients:
                connections.drain(0.15, 0.2)
            else:
                time.sleep(0.15)
            at_rest_cores = AT_REST_CORES * len(self.pids)
            if self.server_cpu_s() - cpu_s < at_rest_cores * (time.perf_counter() - began):
                return


def measured(
    before: Reading, after: Reading, operations: float, *, wall_s: float | None = None
) -> Result:
    """The CPU time and memory that was used between two readings.

    Args:
        before: The clocks when the work began.
        after: The clocks when the server was at rest again.
        operations: How many operations it was.
        wall_s: How long the work took, if that was less than the time between the readings.
    """
    if not operations:
        raise BenchError("the server did nothing of what was measured")
    elapsed_s = after.wall_s - before.wall_s
    server_s = after.server_cpu_s - before.server_cpu_s
    own_s = after.own_cpu_s - before.own_cpu_s
    busy_s = after.machine_busy_s - before.machine_busy_s
    beside_s = after.beside_cpu_s - before.beside_cpu_s
    wall_s = elapsed_s if wall_s is None else wall_s
    return {
        "ops": operations,
        "wall_s": round(wall_s, 3),
        "ops_per_s": round(operations / wall_s, 1),
        "cpu_us_per_op": round(server_s / operations * 1e6, 2),
        "beside_us_per_op": round(beside_s / operations * 1e6, 2),
        "client_cpu_us_per_op": round(own_s / operations * 1e6, 2),
        "server_cores": round(server_s / elapsed_s, 3),
        "other_load": round((busy_s - server_s - own_s - beside_s) / elapsed_s, 2),
    }


def percentiles(latencies_s: list[float]) -> Result:
    """Median, p95 and p99 in milliseconds."""
    ordered = sorted(latencies_s)

    def at(fraction: float) -> float:
        return round(ordered[min(len(ordered) - 1, int(fraction * len(ordered)))] * 1e3, 3)

    return {"p50_ms": at(0.5), "p95_ms": at(0.95), "p99_ms": at(0.99)} if ordered else {}


def cpu_s(pids: list[int]) -> float:
    """User and system time that these processes and their descendants have used so far."""
    total = 0.0
    for pid in with_descendants(pids):
        try:
            total += time.clock_gettime(cpu_clock_of(pid))
        except OSError:  # a short-lived child has gone
            continue
    return total


def cpu_clock_of(pid: int) -> int:
    """The process's CPU clock: what clock_getcpuclockid(3) would answer."""
    return (~pid << 3) | 2


def with_descendants(pids: list[int]) -> list[int]:
    """The processes and everything they started that still lives."""
    children = defaultdict(list)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            stat = (process / "stat").read_text()
        except OSError:  # it has gone since
            continue
        parent = int(stat.rsplit(")", 1)[1].split()[1])
        children[parent].append(int(process.name))
    found: list[int] = []
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.append(pid)
            waiting += children[pid]
    return found


def machine_busy_s() -> float:
    """Seconds all cores together have worked (or waited for the hypervisor) since boot."""
    fields = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    user, nice, system, _, _, interrupt, soft_interrupt, steal = map(int, fields)
    return (user + nice + system + interrupt + soft_interrupt + steal) / TICKS_PER_S
