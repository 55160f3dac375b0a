"""What WebSocket, BOSH, files and metrics cost a server, beside its peers in the same run.

    python -m bench.web [--peers] [--beside ROOT] [--rounds 5] [--scenario REGEX] [--data DIR]

Each scenario has one thing under way at a time, on fifty pairs of people in turn; the figure is the
CPU time of all processes of the server, and the median of the rounds, in which the servers take
turns. What is printed is a section for docs/performance.md.
"""

import argparse
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from bench.client import BenchError, raise_descriptor_limit
from bench.compare import machine, table
from bench.meter import Meter
from bench.server import HOST
from bench.web_client import CLIENT, Wire, dial, log_in, register
from bench.web_servers import WebBeside, WebEjabberd, WebProsody, WebServer, WebXmppd

PAIRS = 50
CONTACTS = 200
IDLE = 300
SCRAPED_SESSIONS = 10_000
FILE_BYTES = 10 * 1024 * 1024
UPLOAD = "urn:xmpp:http:upload:0"


class Run:
    """One round of one scenario at one server.

    Args:
        server: It runs.
        pid: Its process.
    """

    def __init__(self, server: WebServer, pid: int) -> None:
        self.server = server
        self.meter = Meter([pid])

    def cpu_us(self, work: Callable[[int], None], count: int) -> float:
        """Microseconds of the server for each time that work is done."""
        for number in range(max(20, count // 10)):
            work(number)
        self.meter.settle(timeout_s=2.0)
        before = self.meter.server_cpu_s()
        for number in range(count):
            work(number)
        self.meter.settle(timeout_s=2.0)
        return (self.meter.server_cpu_s() - before) / count * 1e6

    def pairs(self, way: str, count: int = PAIRS) -> list[tuple[Wire, Wire, bytes]]:
        """Pairs of people who are there, with the address of the second."""
        found = []
        for number in range(count):
            one = log_in(self.server, way, f"a{number}")
            other = log_in(self.server, way, f"b{number}")
            for wire in (one, other):
                wire.send(named(b"<presence/>", way))
                wire.until(b"presence")
                quiet(wire)
            found.append((one, other, f"b{number}@p.test".encode()))
        return found

    def chat(self, way: str, count: int) -> float:
        """A message from one to the other; by BOSH, the other one asks again."""
        pairs = self.pairs(way)

        def say(number: int) -> None:
            one, other, to = pairs[number % PAIRS]
            one.send(named(b"<message to='%b' type='chat'><body>ay me</body></message>" % to, way))
            other.until(b"</message>")

        try:
            return self.cpu_us(say, count)
        finally:
            close(pairs)

    def ping(self, way: str, count: int) -> float:
        """A ping and its answer; by BOSH, in one request."""
        wires = [log_in(self.server, way, f"a{number}") for number in range(PAIRS)]
        ping = named(b"<iq type='get' id='p' to='p.test'><ping xmlns='urn:xmpp:ping'/></iq>", way)

        def ask(number: int) -> None:
            wire = wires[number % PAIRS]
            wire.send(ping)
            wire.until(b"result")
            quiet(wire)

        try:
            return self.cpu_us(ask, count)
        finally:
            close([(wire,) for wire in wires])

    def presence(self, way: str, count: int) -> float:
        """A delivery of a presence to a contact of two hundred."""
        contacts = [log_in(self.server, way, f"c{number}") for number in range(CONTACTS)]
        one = log_in(self.server, way, "a0")
        for wire in (*contacts, one):
            wire.send(named(b"<presence/>", way))
            wire.until(b"presence")
        time.sleep(0.5)
        for wire in contacts:
            quiet(wire)

        def show(number: int) -> None:
            one.send(named(b"<presence><status>s%db</status></presence>" % number, way))
            for wire in contacts:
                wire.until(b"s%db" % number)

        try:
            return self.cpu_us(show, count) / CONTACTS
        finally:
            close([tuple(contacts), (one,)])

    def login(self, way: str, count: int) -> float:
        """A login with SCRAM-SHA-1, from the connection to the resource."""

        def come(number: int) -> None:
            log_in(self.server, way, f"a{number % PAIRS}", "SCRAM-SHA-1").close()

        return self.cpu_us(come, count)

    def idle(self, way: str, count: int) -> float:
        """KB of memory that a session takes that does nothing, at a server that has just begun."""
        self.meter = Meter([self.server.start()])
        log_in(self.server, way, "a0").close()
        self.meter.settle()
        before = self.meter.rss_kb()
        wires = [log_in(self.server, way, f"c{number % CONTACTS}") for number in range(count)]
        for wire in wires:
            wire.send(named(b"<presence/>", way))
        self.meter.settle()
        found = (self.meter.rss_kb() - before) / count
        close([tuple(wires)])
        return found

    def files(self, way: str, count: int) -> float:
        """MB that come or go in a CPU second."""
        asker = log_in(self.server, way, "a0")
        body = bytes(range(256)) * (FILE_BYTES // 256)
        urls: list[str] = []
        for number in range(count):
            asker.send(
                f"<iq type='get' id='u{number}' to='upload.p.test'><request xmlns='{UPLOAD}'"
                f" filename='{number}.bin' size='{FILE_BYTES}'/></iq>".encode()
            )
            slot = asker.until(b"</slot>").decode()
            put = re.search(r"<put[^>]*url=['\"]([^'\"]+)", slot)
            get = re.search(r"<get[^>]*url=['\"]([^'\"]+)", slot)
            allowed = re.search(r"<header[^>]*>([^<]+)<", slot)
            assert put is not None and get is not None, slot
            urls += [put[1].replace("&amp;", "&"), get[1], allowed[1] if allowed else ""]
        asker.close()
        before, moved = self.meter.server_cpu_s(), 0
        for at in range(0, len(urls), 3):
            put_url, get_url, token = urls[at : at + 3]
            self._http("PUT", put_url, body, token)
            moved += FILE_BYTES + len(self._http("GET", get_url, b"", ""))
        self.meter.settle()
        return moved / 1e6 / (self.meter.server_cpu_s() - before)

    def _http(self, method: str, url: str, body: bytes, token: str) -> bytes:
        parts = urlsplit(url)
        client = HTTPConnection(HOST, self.server.http_port, timeout=60)
        headers = {"Host": parts.netloc, **({"Authorization": token} if token else {})}
        client.request(
            method, parts.path + (f"?{parts.query}" if parts.query else ""), body or None, headers
        )
        answer = client.getresponse()
        said = answer.read()
        client.close()
        if answer.status not in (200, 201):
            raise BenchError(f"{method} {url}: {answer.status} {said[:200]!r}")
        return said

    def scrape(self, way: str, count: int) -> float:
        """A scrape of /metrics with thousands of sessions, in microseconds."""
        wires = [log_in(self.server, way, f"c{n % CONTACTS}") for n in range(count)]
        for wire in wires:
            wire.send(b"<presence/>")
        self.meter.settle()
        scraper = dial(self.server.http_port)

        def read(number: int) -> None:
            scraper.sendall(b"GET /metrics HTTP/1.1\r\nHost: p.test\r\n\r\n")
            data = b""
            while b"xmppd_process_start_time_seconds " not in data:
                data += scraper.recv(1 << 20)

        try:
            return self.cpu_us(read, 50)
        finally:
            close([tuple(wires)])


def named(element: bytes, way: str) -> bytes:
    """An element as that way has it."""
    if way == "tcp":
        return element
    at = min(at for at in map(element.find, (b" ", b"/", b">")) if at > 0)
    return element[:at] + CLIENT + element[at:]


def quiet(wire: Wire) -> None:
    """Forget what has come so far."""
    wire._came = b""  # type: ignore[attr-defined]  # each has it


def close(groups: Sequence[Sequence[Wire | bytes]]) -> None:
    """Leave."""
    for group in groups:
        for wire in group:
            if not isinstance(wire, bytes):
                wire.close()


@dataclass(frozen=True)
class Scenario:
    """What is measured, and what is wanted.

    Attributes:
        name: In the table.
        work: Gives the figure.
        unit: Of it.
        ratio: The best peer's figure by ours that is wanted; None if none is.
        by_tcp: The scenario by TCP that ours is compared with; empty for none.
        most: Ours by that, at most; None if nothing is wanted.
        with_peers: Whether the peers have it as well.
    """

    name: str
    work: Callable[[Run], float]
    unit: str = "µs"
    ratio: float | None = None
    by_tcp: str = ""
    most: float | None = None
    with_peers: bool = True

    @property
    def wanted(self) -> str:
        """What is wanted, in a cell."""
        parts = ["" if self.ratio is None else f"{self.ratio:.2g}×"]
        parts.append("" if self.most is None else f"{self.most:.2f} of TCP")
        return ", ".join(filter(None, parts)) or "–"


CHAT, PRESENCE, IDLE_SESSION = "chat, TCP", "presence to 200, TCP, a delivery", "idle session, TCP"
SCENARIOS = (
    Scenario(CHAT, lambda run: run.chat("tcp", 2_000)),
    Scenario(
        "chat, WebSocket", lambda run: run.chat("ws", 2_000), ratio=2, by_tcp=CHAT, most=1.15
    ),
    Scenario("chat, BOSH (two requests)", lambda run: run.chat("bosh", 1_000), ratio=2),
    Scenario("ping, BOSH (one request)", lambda run: run.ping("bosh", 1_000), ratio=1.8),
    Scenario("ping, WebSocket", lambda run: run.ping("ws", 2_000)),
    Scenario(PRESENCE, lambda run: run.presence("tcp", 50)),
    Scenario(
        "presence to 200, WebSocket, a delivery", lambda run: run.presence("ws", 50),
        ratio=4, by_tcp=PRESENCE, most=1.3,
    ),
    Scenario("login, WebSocket, SCRAM-SHA-1", lambda run: run.login("ws", 200), ratio=1),
    Scenario(IDLE_SESSION, lambda run: run.idle("tcp", IDLE), "KB"),
    Scenario(
        "idle session, WebSocket", lambda run: run.idle("ws", IDLE), "KB",
        by_tcp=IDLE_SESSION, most=1.1,
    ),
    Scenario("10 MiB up and down", lambda run: run.files("tcp", 5), "MB/s", ratio=1),
    Scenario(
        "scrape, 10,000 sessions", lambda run: run.scrape("tcp", SCRAPED_SESSIONS),
        with_peers=False,
    ),
)  # fmt: skip


def befriend(server: WebServer) -> None:
    """Have a0 and two hundred people see each other's presence; each word is waited for, since a
    server of many processes may hear the answer before the question.
    """
    a = log_in(server, "tcp", "a0")
    _appear(a)
    for number in range(CONTACTS):
        c = log_in(server, "tcp", f"c{number}")
        _appear(c)
        a.send(b"<presence to='c%d@p.test' type='subscribe'/>" % number)
        c.until(b"subscribe")
        c.send(b"<presence to='a0@p.test' type='subscribed'/>")
        a.until(b"subscribed")
        c.send(b"<presence to='a0@p.test' type='subscribe'/>")
        a.until(b"subscribe")
        a.send(b"<presence to='c%d@p.test' type='subscribed'/>" % number)
        c.until(b"subscribed")
        c.close()
    a.send(b"<iq type='get' id='last' to='p.test'><ping xmlns='urn:xmpp:ping'/></iq>")
    a.until(b"last")
    a.close()


def _appear(wire: Wire) -> None:
    """Be somebody who is told of subscriptions."""
    wire.send(b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>")
    wire.until(b"jabber:iq:roster")
    wire.send(b"<presence/>")


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--beside", type=Path, help="beside the xmppd of another checkout")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scenario", default="")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    raise_descriptor_limit()
    kinds: list[type[WebServer]] = [WebXmppd, *((WebProsody, WebEjabberd) if options.peers else ())]
    with tempfile.TemporaryDirectory(prefix="bench-web-") as made:
        data = options.data or Path(made)
        servers = [kind(data) for kind in kinds]
        if options.beside is not None:
            servers.append(WebBeside(data, options.beside))
        runs = {server.name: Run(server, server.start()) for server in servers}
        try:
            for server in servers:
                names = [f"{letter}{n}" for letter in "ab" for n in range(PAIRS)]
                register(server, names + [f"c{number}" for number in range(CONTACTS)])
                befriend(server)
            found = _measured(runs, options.rounds, re.compile(options.scenario))
        finally:
            for server in servers:
                server.stop()
    print(f"## The web door\n\n{machine()}\n")
    for server in servers:
        print(f"- {server.version()}")
    print()
    print(table(["scenario", "in", *runs, "best peer / ours", "ours / TCP", "wanted"], found))
    return 0


def _measured(runs: dict[str, Run], rounds: int, wanted: re.Pattern[str]) -> list[list[str]]:
    rows: list[list[str]] = []
    by_tcp: dict[str, float] = {}
    for scenario in SCENARIOS:
        if not wanted.search(scenario.name):
            continue
        found: dict[str, list[float]] = {server: [] for server in runs}
        for _ in range(rounds):
            for server, run in runs.items():
                if scenario.with_peers or isinstance(run.server, WebXmppd):
                    try:
                        found[server].append(scenario.work(run))
                    except (BenchError, OSError, AssertionError) as error:
                        print(f"{scenario.name} at {server}: {error!r}", file=sys.stderr)
        medians = {server: statistics.median(each) for server, each in found.items() if each}
        ours = medians.get(WebXmppd.name)
        if ours is not None:
            by_tcp[scenario.name] = ours
        rows.append(
            [
                scenario.name,
                scenario.unit,
                *(_figure(each) for each in found.values()),
                _by_best_peer(scenario, ours, medians),
                _by_tcp(scenario, ours, by_tcp),
                scenario.wanted,
            ]
        )
        print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    return rows


def _figure(found: Sequence[float]) -> str:
    """The least, the median and the most of the rounds."""
    if not found:
        return "–"
    least, most = min(found), max(found)
    return f"{least:.1f} / **{statistics.median(found):.1f}** / {most:.1f}"


def _by_best_peer(scenario: Scenario, ours: float | None, medians: Mapping[str, float]) -> str:
    """How many times as good ours is as the best peer."""
    peers = [medians[each.name] for each in (WebProsody, WebEjabberd) if each.name in medians]
    if not ours or not peers:
        return "–"
    ratio = ours / max(peers) if scenario.unit == "MB/s" else min(peers) / ours
    return f"{ratio:.2f}×"


def _by_tcp(scenario: Scenario, ours: float | None, by_tcp: Mapping[str, float]) -> str:
    """How many times as much ours takes as by TCP."""
    tcp = by_tcp.get(scenario.by_tcp)
    return f"{ours / tcp:.2f}" if ours and tcp else "–"


if __name__ == "__main__":
    sys.exit(main())
