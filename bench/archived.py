"""What a large archive costs a server that is started again, and how much disk it takes.

    python -m bench.archived [--messages N]

So many messages are put into archives behind the server's back, so that this takes a minute. Then
it is started and stopped, and killed while people write to each other with stream management. What
it takes until it listens is told beside the same for a server that has nothing, since most of it is
Python's; CPU as well, since a busy machine has no more of that.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from sqlite3 import connect
from tempfile import mkdtemp

from bench.compare import machine
from bench.meter import cpu_s
from bench.ours import Xmppd
from bench.pages import fill, message
from xmppd_plugins.archive.tables import INDEXED_TO

MESSAGES = 1_000_000
NUMBER = 1
"""Of the archive that is filled."""
LOAD_S = 120.0
MORE = 15_000
"""Messages before the server is killed: of so many the entries may be written later."""

STARTS = 3
LOAD = (sys.executable, "-m", "bench.load", "chat", "--managed", "--window", "20")


def load(server: Xmppd, pid: int, *more: str) -> list[str]:
    """How the load tool is called."""
    place = ["--port", str(server.port), "--domain", server.domain, "--server-pid", str(pid)]
    return [*LOAD, *place, *more]


def started(server: Xmppd) -> tuple[float, float]:
    """The seconds until it listens, and those of them that it computes; it is stopped again."""
    computed_s = cpu_s([server.start()])
    server.stop()
    return server.ready_s, computed_s


def archived(server: Xmppd) -> int:
    """The number of messages in its database."""
    with closing(connect(server.data / "xmppd.sqlite")) as database:
        [count] = database.execute("SELECT count(*) FROM archive_stanzas").fetchone()
    return int(count)


def kill(server: Xmppd, messages: int) -> None:
    """Start it, and kill it under load when so many messages are in its database."""
    pid = server.start()
    until = time.monotonic() + LOAD_S
    with subprocess.Popen(
        load(server, pid, "--duration", str(LOAD_S)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as talking:
        while archived(server) < messages and time.monotonic() < until:
            time.sleep(1.0)
        os.kill(pid, signal.SIGKILL)
        talking.wait()


def measure(what: str, server: Xmppd, starts: int = STARTS) -> None:
    """Say what the fastest of some starts takes."""
    ready_s, computed_s = map(min, zip(*[started(server) for _ in range(starts)], strict=True))
    print(f"| {what}, it listens after, s | {ready_s:.2f}, of them CPU {computed_s:.2f} |")


def run(directory: Path, messages: int) -> None:
    """Fill it, measure, and print a table."""
    server = Xmppd(directory)
    server.archives = True
    pid = server.start()
    subprocess.run(load(server, pid, "--setup"), check=True, capture_output=True)
    server.stop()
    print(f"{machine()}\n\n| | |\n|---|---|")
    measure("with nothing archived", server)
    path = server.data / "xmppd.sqlite"
    before = path.stat().st_size
    fill(path, NUMBER, messages)
    with closing(connect(path)) as database:  # all of these have their entries
        [last] = database.execute("SELECT max(position) FROM archive_stanzas").fetchone()
        database.execute(
            "INSERT OR REPLACE INTO archive_marks VALUES (?, ?)", (INDEXED_TO, b"%d" % last)
        )
        database.commit()
    each = (path.stat().st_size - before) / messages
    stanza = len(message("peer25@montague.lit", messages))
    print(f"| messages archived | {messages:,} |")
    print(f"| bytes of one as it is kept | {stanza} |")
    print(f"| bytes on disk for each, with its entry | {each:.0f} |")
    measure("with these", server)
    kill(server, messages + MORE)
    more = archived(server) - messages
    measure(f"killed, {more:,} messages later", server, starts=1)


def main() -> None:
    """Measure in a directory that is removed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=MESSAGES)
    messages = parser.parse_args().messages
    directory = Path(mkdtemp(prefix="xmppd-archived-"))
    server = Xmppd(directory)
    try:
        run(directory, messages)
    finally:
        server.stop()
        rmtree(directory)


if __name__ == "__main__":
    main()
