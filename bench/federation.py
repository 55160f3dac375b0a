"""The cost of a message and a presence from server to server, beside prosody, and beside one
server.

    python -m bench.federation [--repetitions N]

Two xmppd, and two prosody, find each other by a name server of the test suite, and believe each
other's certificates (EXTERNAL, TLS 1.3). Between them people chat in a closed loop, and one changes
its presence for contacts on the other side. Costs are of both servers together. Beside it, the same
people chat on one xmppd. All take turns, so that other work of the machine falls on all.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from bench.client import Client, Connections, ignore, raise_descriptor_limit
from bench.compare import machine, number, spread, table
from bench.load import BODY, MESSAGE_END, PRESENCE_END, Total, count
from bench.meter import Meter, Result, measured
from tests.integration.federation import FederatedServer, World
from tests.integration.prosody import Prosody

PASSWORD = "pw"
PAIRS = 20
WINDOW = 20
CONTACTS = 20
PRESENCES = 100
DURATION_S = 1.5
WARMUP_S = 0.5
PATIENCE_S = 60.0
FREE: dict[str, object] = {
    "stanzas_per_s": 1e9,
    "stanzas_burst": 1_000_000_000,
    "bytes_per_s": 1e12,
    "bytes_burst": 1_000_000_000_000,
}
Server = FederatedServer | Prosody


class Unlimited(FederatedServer):
    """An xmppd without limits on the rate of clients."""

    def _configuration(self, settings: Any) -> str:
        return super()._configuration({**settings, "stream": FREE})


@dataclass
class Case:
    """People on two sides, or on one.

    Attributes:
        name: Column of the report.
        servers: One for each side; the same twice for a single server.
        users: On each side.
    """

    name: str
    servers: tuple[Server, Server]
    users: tuple[list[str], list[str]]
    results: dict[str, list[Result]] = field(default_factory=dict)

    @property
    def meter(self) -> Meter:
        """Of all processes that take part."""
        return Meter(sorted({pid_of(server) for server in self.servers}))


def pid_of(server: Server) -> int:
    """Its process."""
    process = server._process  # only a meter wants to know
    assert process is not None
    return process.pid


class Sides:
    """Clients of two servers, served by turns."""

    def __init__(self, servers: tuple[Server, Server], users: tuple[list[str], list[str]]) -> None:
        self.both = [
            Connections(server.host, server.port, server.domain, PASSWORD, starttls=True)
            for server in servers
        ]
        self.clients = [
            connections.log_in(names, 20)
            for connections, names in zip(self.both, users, strict=True)
        ]

    def serve_until(self, done: Callable[[], bool]) -> None:
        """Serve both until something is true, or fail."""
        end = time.perf_counter() + PATIENCE_S
        while not done():
            for connections in self.both:
                connections.poll(0.001)
                connections.check()
            if time.perf_counter() > end:
                raise TimeoutError("the other side does not answer")

    def serve(self, duration_s: float) -> None:
        """Serve both for a while."""
        end = time.perf_counter() + duration_s
        self.serve_until(lambda: time.perf_counter() > end)

    def close(self) -> None:
        """Close all connections."""
        for connections in self.both:
            connections.close()


def chat(sides: Sides, meter: Meter) -> Iterator[Result]:
    """A message to the peer on the other side; each pair has :data:`WINDOW` on the way."""
    ours, theirs = (clients[:PAIRS] for clients in sides.clients)
    total, running = Total(), True

    def answering(client: Client) -> Callable[[int], None]:
        def counted(stanzas: int) -> None:
            total.stanzas += stanzas
            if running:
                client.send(client.stanza * stanzas)

        return counted

    for one, other in (*zip(ours, theirs, strict=True), *zip(theirs, ours, strict=True)):
        one.stanza = b"<message to='%b' type='chat' id='m1'><body>%b</body></message>" % (
            other.bare, BODY,
        )  # fmt: skip
        count(one, MESSAGE_END, answering(one))
    for client in ours:
        client.send(client.stanza * WINDOW)
    sides.serve(WARMUP_S)
    before, stanzas = meter.read(), total.stanzas
    sides.serve(DURATION_S)
    after, stanzas = meter.read(), total.stanzas - stanzas
    running = False
    sides.serve(0.3)
    for client in (*ours, *theirs):
        client.on_data = ignore
    yield measured(before, after, stanzas)


def presence(sides: Sides, meter: Meter) -> Iterator[Result]:
    """A change of presence that is delivered to one of the contacts on the other side."""
    hub, *_ = sides.clients[0]
    watchers = sides.clients[1][:CONTACTS]
    total = Total()
    for client in watchers:
        count(client, PRESENCE_END, total.add)
    before = meter.read()
    for change in range(1, PRESENCES + 1):
        hub.send(b"<presence><status>status number %d</status></presence>" % change)
        sides.serve_until(lambda change=change: total.stanzas >= change * len(watchers))  # type: ignore[misc]
    after = meter.read()
    for client in watchers:
        client.on_data = ignore
    yield measured(before, after, PRESENCES * len(watchers))


def befriend(sides: Sides) -> None:
    """The hub and its contacts see each other."""
    hub, *_ = sides.clients[0]
    for kind in (b"subscribe", b"subscribed"):
        for contact in sides.clients[1][:CONTACTS]:
            hub.send(b"<presence to='%b' type='%b'/>" % (contact.bare, kind))
            contact.send(b"<presence to='%b' type='%b'/>" % (hub.bare, kind))
        sides.serve(5.0)


def people(*sides: str) -> tuple[list[str], list[str]]:
    """The people of two sides."""
    one, other = ([f"{side}{n}" for n in range(max(PAIRS, CONTACTS))] for side in sides)
    return one, other


def set_up(case: Case) -> None:
    """Accounts, and friends."""
    for server, users in zip(case.servers, case.users, strict=True):
        for user in users:
            server.add_user(user, PASSWORD)
    sides = Sides(case.servers, case.users)
    befriend(sides)
    sides.close()


def measure(case: Case) -> None:
    """One repetition of everything."""
    for scenario in (chat, presence):
        sides = Sides(case.servers, case.users)
        sides.serve(1.0)
        case.results.setdefault(scenario.__name__, []).extend(scenario(sides, case.meter))
        sides.close()


def cases(world: World) -> list[Case]:
    """The cases; not at .test, since unbound, in prosody, knows that it does not exist."""
    made = {}
    for domain in ("north.lit", "south.lit"):
        made[domain] = Unlimited(
            world._room(domain), domain,
            authority=world.authority, signer=world.authority, dns=world.names.address, s2s=FREE,
        )  # fmt: skip
        world._started(made[domain])
    ours = made["north.lit"], made["south.lit"]
    peers = world.prosody("east.lit"), world.prosody("west.lit")
    return [
        Case("xmppd", ours, people("away", "far")),
        Case("prosody", peers, people("away", "far")),
        Case("xmppd, at home", (ours[0], ours[0]), people("home", "near")),
    ]


def report(found: list[Case]) -> str:
    """The table, in Markdown."""
    rows = []
    for scenario, per in (("chat", "message"), ("presence", "delivery")):
        spreads = [spread(case.results[scenario], "cpu_us_per_op") for case in found]
        costs = [
            sorted(float(result["cpu_us_per_op"] or 0) for result in case.results[scenario])[
                len(case.results[scenario]) // 2
            ]
            for case in found
        ]
        ours, theirs, at_home = costs
        rows.append(
            [scenario, per, *spreads, f"{number(theirs / ours)}×", f"{number(ours / at_home)}×"]
        )
    head = ["scenario", "per", *(case.name for case in found), "prosody / ours", "ours / at home"]
    return (
        "Server CPU, µs per operation, both servers together (min / **median** / max).\n"
        f"{machine()}\n\n{table(head, rows)}"
    )


def main() -> int:
    """Measure all in turn, print the report, leave no server running."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=5)
    options = parser.parse_args()
    raise_descriptor_limit()
    world = World()
    try:
        found = cases(world)
        for case in found:
            set_up(case)
        for _ in range(options.repetitions):
            for case in found:
                measure(case)
        print(report(found))
    finally:
        world.end()
    return 0


if __name__ == "__main__":
    sys.exit(main())
