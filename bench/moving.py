"""What it takes to move people in from the files of a Prosody: time, CPU, and memory.

::

    python -m bench.moving                         # 100,000 people
    python -m bench.moving --people 1000

Each has keys, a contact and three messages that wait. They are imported as by ``xmppctl import``,
by a server with an empty SQLite at which nobody is.
"""

import time
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.meter import Meter
from tests.unit.migration import sources
from xmppd.testing.process import ServerProcess


def main() -> None:
    """Measure, in a directory that is removed."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=100_000)
    sources.PEOPLE = people = parser.parse_args().people
    with TemporaryDirectory(prefix="xmppd-moving-", dir="/tmp") as directory:
        kind, source = sources.of_prosody(Path(directory))
        with ServerProcess(Path(directory), sources.DOMAIN) as server:
            meter = Meter([server.pid])
            before_mb, before_s = meter.rss_kb() / 1_024, meter.server_cpu_s()
            began = time.monotonic()
            lines = server.tell("import", format=kind, source=str(source))
            took_s = time.monotonic() - began
            cpu_s, peak_mb = meter.server_cpu_s() - before_s, meter.peak_kb() / 1_024
    assert len(lines) >= people, lines[-3:]
    print("| people | s | CPU s | MB before | peak MB |\n|---|---|---|---|---|")
    print(f"| {people} | {took_s:.0f} | {cpu_s:.0f} | {before_mb:.0f} | {peak_mb:.0f} |")


if __name__ == "__main__":
    main()
