"""Hostile clients of HTTP: what two people who talk notice of them.

    python -m bench.hostile_web [--scenario REGEX] [--seconds 10]

The two are there by TCP and send each other 50 messages a second, from a process of their own
(:mod:`bench.canary`). The table has how long those took while each of the scenarios went on, the
memory of the server before and after, and what was left of it a minute later at the latest. The
goal: 99 of 100 within 20 ms.
"""

import argparse
import re
import secrets
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bench.canary import Canary
from bench.client import raise_descriptor_limit
from bench.compare import machine, table
from bench.meter import Meter
from bench.server import HOST
from bench.web_client import DOMAIN, PASSWORD, register
from bench.web_servers import WebXmppd

HALF_OPEN = 10_000
POLLS = 5_000
GUESSES_PER_S = 1_000
SLOW_BODIES = 500
GIVEN_BACK_S = 60.0
BODY = (
    "<body xmlns='http://jabber.org/protocol/httpbind' rid='1' to='p.test' wait='60' hold='1'"
    " ver='1.6' xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'/>"
)


class Usual(WebXmppd):
    """An xmppd with the usual limits of HTTP."""

    def configure(self) -> None:
        """Take those that lift them out of the configuration."""
        super().configure()
        text = self._config.read_text()
        for line in ("max_connections_per_address", "max_silent_connections"):
            text = re.sub(rf"^{line} = .*\n", "", text, flags=re.MULTILINE)
        self._config.write_text(text)


class Crowd:
    """Connections that nobody reads.

    Args:
        port: Where they go.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.sockets: list[socket.socket] = []
        self.next_address = 1

    def more(self, data: bytes) -> None:
        """One more, from another address of loopback; what the server does with it is its own."""
        made = socket.socket()
        self.next_address += 1
        high, low = divmod(self.next_address // 50, 250)
        made.bind((f"127.0.{high + 1}.{low + 1}", 0))
        with suppress(OSError):
            made.connect((HOST, self.port))
            made.sendall(data)
        self.sockets.append(made)

    def say(self, data: bytes) -> None:
        """Each says a little more."""
        for each in self.sockets:
            with suppress(OSError):
                each.send(data)

    def hung_up(self) -> int:
        """How many the server has closed."""
        poll = select.poll()
        for each in self.sockets:
            poll.register(each, select.POLLIN | select.POLLHUP)
        return len(poll.poll(0))

    def leave(self) -> None:
        """Close all that are left."""
        for each in self.sockets:
            each.close()


def half_open_heads(crowd: Crowd, seconds: float) -> None:
    """Ten thousand heads of which the end never comes, a byte at a time."""
    for _ in range(HALF_OPEN):
        crowd.more(b"GET /ws HTTP/1.1\r\nHost: p.test\r\nX: ")
    _drip(crowd, seconds, b"x")


def unread_polls(crowd: Crowd, seconds: float) -> None:
    """Five thousand sessions of BOSH that nobody reads."""
    head = f"POST /bosh HTTP/1.1\r\nHost: p.test\r\nContent-Length: {len(BODY)}\r\n\r\n"
    for _ in range(POLLS):
        crowd.more((head + BODY).encode())
    _drip(crowd, seconds, b"")


def guessed_sids(crowd: Crowd, seconds: float) -> None:
    """A thousand a second guess the name of a session."""
    until, asked = time.monotonic() + seconds, 0
    began = time.monotonic()
    while time.monotonic() < until:
        if asked > (time.monotonic() - began) * GUESSES_PER_S:
            time.sleep(0.001)
            continue
        sid = secrets.token_hex(16)
        body = f"<body xmlns='http://jabber.org/protocol/httpbind' rid='{asked + 2}' sid='{sid}'/>"
        head = f"POST /bosh HTTP/1.1\r\nHost: p.test\r\nContent-Length: {len(body)}\r\n\r\n"
        if asked < 50:
            crowd.more((head + body).encode())
        else:
            each = crowd.sockets[asked % 50]
            with suppress(OSError):
                each.send((head + body).encode())
                each.recv(65_536, socket.MSG_DONTWAIT)
        asked += 1


def slow_bodies(crowd: Crowd, seconds: float) -> None:
    """Five hundred bodies that come a byte a second."""
    for _ in range(SLOW_BODIES):
        crowd.more(b"POST /bosh HTTP/1.1\r\nHost: p.test\r\nContent-Length: 100000\r\n\r\n<body")
    _drip(crowd, seconds, b"x")


def nobody(crowd: Crowd, seconds: float) -> None:
    """Nobody: what the two notice of each other, and of the machine."""
    time.sleep(seconds)


def _drip(crowd: Crowd, seconds: float, data: bytes) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(1.0)
        if data:
            crowd.say(data)


SCENARIOS: dict[str, Callable[[Crowd, float], None]] = {
    "nobody": nobody,
    "10,000 half-open heads": half_open_heads,
    "5,000 polls that nobody reads": unread_polls,
    "1,000 guessed sids a second": guessed_sids,
    "500 slow bodies": slow_bodies,
}


def descriptors(pid: int) -> int:
    """The files that a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--scenario", default="")
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    raise_descriptor_limit()
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-web-") as made:
        server = Usual(Path(made))
        pid = server.start()
        try:
            register(server, ["romeo", "juliet"])
            meter = Meter([pid])
            for name, attack in SCENARIOS.items():
                if re.search(options.scenario, name):
                    rows.append(_row(name, attack, server, meter, options.seconds))
                    print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
        finally:
            server.stop()
    print(machine())
    print()
    print(
        table(
            ["scenario", "p50 ms", "p99 ms", "MB before", "MB after", "files left", "after s"], rows
        )
    )
    return 0


def _row(
    name: str,
    attack: Callable[[Crowd, float], None],
    server: WebXmppd,
    meter: Meter,
    seconds: float,
) -> list[str]:
    pid = meter.pids[0]
    files, memory = descriptors(pid), meter.rss_kb()
    crowd = Crowd(server.http_port)
    canary = Canary(
        ["romeo", "juliet", "--port", str(server.port), "--domain", DOMAIN, "--password", PASSWORD]
    )
    try:
        attack(crowd, seconds)
    finally:
        said = canary.stop()
    crowd.leave()
    left_at = time.monotonic()
    while descriptors(pid) > files and time.monotonic() - left_at < GIVEN_BACK_S:
        time.sleep(0.5)
    return [
        name,
        f"{said['p50_ms']}",
        f"{said['p99_ms']}",
        f"{memory / 1e3:.0f}",
        f"{meter.rss_kb() / 1e3:.0f}",
        str(max(0, descriptors(pid) - files)),
        f"{time.monotonic() - left_at:.0f}",
    ]


if __name__ == "__main__":
    sys.exit(main())
