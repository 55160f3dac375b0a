"""The metrics of this process, as the kernel counts them."""

import os
import resource
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from xmppd.host.metrics import Label, Metric

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def process_metrics() -> Iterator[Metric]:
    """Its processor time, memory and files, and what it is made of."""
    build = (version("xmppd"), python_version(), version("twisted"))
    names = ("version", "python", "twisted")
    yield Metric(
        "build_info",
        "The versions of xmppd, Python and Twisted, as labels; the value is always 1.",
        "gauge",
        lambda: {build: 1},
        labels=tuple(Label(name, (value,)) for name, value in zip(names, build, strict=True)),
    )
    yield Metric(
        "process_cpu",
        "Processor time that the process has used, in user and system mode.",
        "counter",
        _cpu_s,
        "seconds",
    )
    yield Metric(
        "process_resident_memory",
        "Memory of the process that is not swapped out.",
        "gauge",
        lambda: _memory_pages(1) * _PAGE_BYTES,
        "bytes",
    )
    yield Metric(
        "process_virtual_memory",
        "Virtual memory of the process.",
        "gauge",
        lambda: _memory_pages(0) * _PAGE_BYTES,
        "bytes",
    )
    yield Metric("process_open_fds", "Files that are open.", "gauge", _open_files)
    yield Metric(
        "process_max_fds",
        "Files that may be open.",
        "gauge",
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )
    yield Metric(
        "process_start_time",
        "The time when the process started, in seconds since 1970.",
        "gauge",
        _started_at,
        "seconds",
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _memory_pages(field: int) -> int:
    return int(Path("/proc/self/statm").read_text().split()[field])


def _started_at() -> float:
    """As the kernel has noted it, in ticks since it has started itself (proc(5))."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    [booted] = [
        line for line in Path("/proc/stat").read_text().splitlines() if line.startswith("btime ")
    ]
    return int(booted.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # names only
