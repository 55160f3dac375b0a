"""Hostile clients: the delay that others notice while some ask for as much work as they may.

    python -m bench.hostile [--scenario REGEX]

Two people who are online send each other 50 messages a second, from a process of their own
(:mod:`bench.canary`); the table says how long those took while each of the scenarios ran, and how
long the scenario itself. Rates are limited as by default.
"""

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path

from bench.canary import Canary
from bench.client import BenchError, Client, Connections, ignore, raise_descriptor_limit
from bench.compare import machine, table
from bench.fill import fill
from bench.load import DATABASE
from bench.meter import Result
from bench.ours import Xmppd
from xmppd.store import offline
from xmppd.store.engine import make_engine, parse_url

PASSWORD = "pw"
SINGERS = ["romeo", "juliet"]
ATTACKERS = 10
STORED = 10_000
BIG_ROSTER = 10_000
GROUP = 2_000
PROBABLY_DONE_S = 120.0
STANZA_BYTES = 240_000
ANSWER = re.compile(rb"<iq [^>]*id='last'")
LETTERS = 11_172
"""Of Hangul, each of which may be a label of a domain, or stand in a localpart."""

MORE = """
[offline]
max_messages = 100_000
max_bytes = 1_000_000_000

[roster]
max_items = 100_000
"""


class Hostile(Xmppd):
    """An xmppd with the default rates, and room for much."""

    name = "hostile"

    def configure(self) -> None:
        """Take the settings that lift all limits out of the configuration."""
        super().configure()
        text = self._config.read_text()
        for line in ("stanzas_per_s", "stanzas_burst", "bytes_per_s", "bytes_burst"):
            text = re.sub(rf"^{line} = .*\n", "", text, flags=re.MULTILINE)
        self._config.write_text(text + MORE)


@dataclass
class Stage:
    """The server and the clients of a scenario.

    Attributes:
        server: Running.
        connections: The clients beside the two of the canary.
    """

    server: Hostile
    connections: Connections

    def log_in(self, *users: str) -> list[Client]:
        """Log these users in."""
        return self.connections.log_in(list(users), ATTACKERS, timeout_s=PROBABLY_DONE_S)

    def answered(self, *clients: Client) -> None:
        """Wait until each has the answer to its last request."""
        waiting = set(clients)
        for client in clients:
            client.on_data = self._watcher(client, waiting)
        self.connections.serve_until(lambda: not waiting, PROBABLY_DONE_S)

    def ping(self, *clients: Client) -> None:
        """Have each send a ping, and wait until it is answered."""
        for client in clients:
            client.send(b"<iq type='get' id='last'><ping xmlns='urn:xmpp:ping'/></iq>")
        self.answered(*clients)

    def _watcher(self, client: Client, waiting: set[Client]) -> Callable[[bytes], None]:
        def watch(data: bytes) -> None:
            client.tail = (client.tail + data)[-2_000:] if len(data) < 2_000 else data
            if ANSWER.search(client.tail):
                waiting.discard(client)
                client.on_data = ignore

        return watch


def names() -> Iterator[str]:
    """International domains of labels of one letter, none of which has been seen before."""
    letter = (chr(0xAC00 + number * 7 % LETTERS) for number in count())
    while True:
        yield ".".join(islice(letter, 36))


DOMAINS = names()


def addresses(form: str) -> bytes:
    """As many as go into one stanza, each in this form."""
    found: list[str] = []
    size = 0
    while size < STANZA_BYTES:
        found.append(form.format(name=next(DOMAINS), number=len(found)))
        size += len(found[-1].encode())
    return "".join(found[:1_990]).encode()


def block(stage: Stage) -> None:
    """2.1: each of ten blocks 2,000 international domains in one stanza."""
    attackers = stage.log_in(*[f"attacker{n}" for n in range(ATTACKERS)])
    for attacker in attackers:
        items = addresses("<item jid='{name}'/>")
        attacker.send(
            b"<iq type='set' id='last'><block xmlns='urn:xmpp:blocking'>%b</block></iq>" % items
        )
    stage.answered(*attackers)


def address(stage: Stage) -> None:
    """2.1: each of ten sends messages to addresses that take longest to prepare."""
    attackers = stage.log_in(*[f"attacker{n}" for n in range(ATTACKERS)])
    for attacker in attackers:
        for number in range(100):
            text = "".join(chr(0xAC00 + (attacker.index * 1_009 + number * 17 + i) % LETTERS)
                           for i in range(300))  # fmt: skip
            to = f"{text}@{next(DOMAINS)}/{text}".encode()
            attacker.send(b"<message type='headline' to='%b'/>" % to)
    stage.ping(*attackers)


def queue(stage: Stage) -> None:
    """2.2: 14 messages of 60,000 elements each to a client that acknowledges none."""
    sender, reader = stage.log_in("attacker0", "attacker1")
    reader.send(b"<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    inside = b"<a/>" * 60_000
    for _ in range(14):
        sender.send(b"<message to='%b'><x xmlns='urn:x'>%b</x></message>" % (reader.jid, inside))
    stage.ping(sender)


def presence(stage: Stage) -> None:
    """2.3: a client logs in that sees everybody of a large roster, and acknowledges nothing."""
    stage.log_in(*[f"member{n}" for n in range(GROUP)])
    (hub,) = stage.log_in("hub")
    hub.send(b"<enable xmlns='urn:xmpp:sm:3'/><presence type='unavailable'/><presence/>")
    stage.ping(hub)


def store(stage: Stage) -> None:
    """2.8: each of ten sends 500 messages to an account for which 10,000 wait already."""
    attackers = stage.log_in(*[f"attacker{n}" for n in range(ATTACKERS)])
    message = f"<message to='away@{stage.server.domain}' type='chat'><body>x</body></message>"
    for attacker in attackers:
        attacker.send(message.encode() * 500)
    stage.ping(*attackers)


def flood(stage: Stage) -> None:
    """2.9: a client logs in for which 10,000 messages wait."""
    ended = [False]

    def ready(client: Client) -> None:
        def read(data: bytes) -> None:
            data = client.tail + data
            client.tail = data[-200:]
            for found in re.findall(rb"<iq [^>]*id='([^']+)'[^>]*>\s*<ping", data[:-1]):
                if found not in client.seen:
                    client.seen.add(found)
                    client.send(b"<iq type='result' to='%b' id='%b'/>"
                                % (stage.server.domain.encode(), found))  # fmt: skip
            ended[0] = ended[0] or b">%d</body>" % (STORED - 1) in data

        client.on_data = read

    stage.connections.log_in(["flooded"], 1, ready)
    stage.connections.serve_until(lambda: ended[0], PROBABLY_DONE_S)


def roster(stage: Stage) -> None:
    """2.9: a client with 10,000 contacts logs in ten times."""
    for _ in range(10):
        (owner,) = stage.log_in("popular")
        stage.ping(owner)
        owner.close()


def nothing(stage: Stage) -> None:
    """No client does anything, for three seconds."""
    stage.connections.serve(3.0)


SCENARIOS = (nothing, block, address, queue, presence, store, flood, roster)


def prepare(server: Hostile) -> None:
    """Make the accounts, a roster, and the messages that wait."""
    domain = server.domain
    rosters: dict[str, list[str]] = {
        f"{name}@{domain}": []
        for name in (*SINGERS, "away", "flooded", *(f"attacker{n}" for n in range(ATTACKERS)))
    }
    members = [f"member{n}@{domain}" for n in range(GROUP)]
    rosters |= {member: [f"hub@{domain}"] for member in members}
    rosters[f"hub@{domain}"] = members
    rosters[f"popular@{domain}"] = [f"nobody{n}@{domain}" for n in range(BIG_ROSTER)]
    fill(f"sqlite:///{server.data / DATABASE}", PASSWORD, rosters)
    engine = make_engine(parse_url(f"sqlite:///{server.data / DATABASE}"))
    with engine.begin() as connection:
        for name in ("away", "flooded"):
            for number in range(STORED):
                text = (
                    f"<message from='sender{number}@{domain}/1' to='{name}@{domain}' type='chat'>"
                    f"<body>{number}</body></message>"
                )
                offline.store(
                    connection, f"{name}@{domain}", text.encode(), f"sender{number}@{domain}",
                    None, 1.0, 1_000_000, 1_000_000_000,
                )  # fmt: skip
    engine.dispose()


def played(scenario: Callable[[Stage], None], server: Hostile) -> tuple[Result, float]:
    """How long the canary's messages took, and the scenario."""
    login = ["--port", str(server.port), "--domain", server.domain, "--password", PASSWORD]
    canary = Canary([*SINGERS, *login])
    connections = Connections("127.0.0.1", server.port, server.domain, PASSWORD)
    begun = time.perf_counter()
    try:
        scenario(Stage(server, connections))
    finally:
        took_s = time.perf_counter() - begun
        connections.close()
        result = canary.stop()
    return result, took_s


def main() -> int:
    """Play them, and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenario", default="", help="only those whose names match")
    options = parser.parse_args()
    raise_descriptor_limit()
    rows = []
    with tempfile.TemporaryDirectory(prefix="hostile") as directory:
        server = Hostile(Path(directory))
        server.start()
        try:
            prepare(server)
            for scenario in SCENARIOS:
                if re.search(options.scenario, scenario.__name__):
                    result, took_s = played(scenario, server)
                    rows.append(_row(scenario, result, took_s))
                    print("|", " | ".join(rows[-1]), "|", flush=True)
        except BenchError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            server.stop()
    print(f"\n{machine()}\n")
    print(table(["scenario", "canary p50 ms", "p95", "p99", "it took s", "what"], rows))
    return 0


def _row(scenario: Callable[[Stage], None], result: Result, took_s: float) -> list[str]:
    figures = [f"{result[name]:.1f}" for name in ("p50_ms", "p95_ms", "p99_ms")]
    return [scenario.__name__, *figures, f"{took_s:.1f}", (scenario.__doc__ or "").rstrip(".")]


if __name__ == "__main__":
    sys.exit(main())
