"""Make load on an XMPP server and measure what one operation costs it.

    python -m bench.load SCENARIO --port PORT --domain DOMAIN --server-pid PID [--setup] …

Users are PREFIX0, PREFIX1, …; ``--setup`` creates the accounts and rosters the scenario needs and
ends. Every repetition is one JSON line on standard output; see README.md for what the fields mean.
"""

import argparse
import json
import random
import re
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from bench.canary import Canary
from bench.client import BenchError, Client, Connections, ignore, raise_descriptor_limit
from bench.component import Component
from bench.fill import fill
from bench.meter import Meter, Result, measured, percentiles
from bench.publishing import BOOKMARKS, Interests, bookmark, items, publish
from bench.rooms import enter, fill_room, join, leave, new_room, open_room
from bench.server import COMPONENT
from xmppd.ctl.asking import ask

BODY = (
    b"The quick brown fox jumps over the lazy dog, then naps: "
    b"a text of exactly one hundred bytes, as sent"
)
MESSAGE_END = b"</message>"
COPY_END = b"</forwarded>"
PRESENCE_END = b"</presence>"
IQ_END = b"</iq>"
NEWS = b"urn:bench:news"
NEWS_ITEM = b"<news xmlns='urn:bench:news'>number %d</news>"
SUBSCRIPTIONS_PER_SEND = 50
ROSTER_PASSES = 6
ROSTER_TIMEOUT_S = 600.0
ROOM_PEOPLE = 200
"""Who are in many rooms."""

MOST_ON_THE_WAY = 500
"""Deliveries, where many rooms are spoken to."""

CANARIES = 2
HERD_TIMEOUT_S = 600.0
DATABASE = "xmppd.sqlite"
CONTROL = "xmppctl.sock"
ITEM = re.compile(rb"<item\b[^>]*>")
ITEM_JID = re.compile(rb"\bjid=['\"]([^'\"]*)")
ITEM_MUTUAL = re.compile(rb"\bsubscription=['\"]both['\"]")
NUMBERED_STATUS = re.compile(rb"<status>@(\d+)@</status>")
CARBONS_ENABLED = b"carbons"
SM = "urn:xmpp:sm:3"
ASKED = b"<r xmlns="
STANZAS_PER_QUESTION = 5
"""After so many a client with stream management asks what was handled."""

ERROR = re.compile(rb"type=['\"]error['\"]")


class Options(argparse.Namespace):
    """The command line."""

    scenario: str
    host: str
    port: list[int]
    component_port: int
    domain: str
    password: str
    prefix: str
    server_pid: list[int]
    beside_pid: list[int]
    setup: bool
    mechanism: str
    starttls: bool
    managed: bool
    concurrency: int
    repeat: int
    clients: int
    pairs: int
    resources: int
    window: int
    to: str
    duration: float
    warmup: float
    rate: float
    contacts: int
    nodes: int
    rings: int
    messages: int
    occupants: int
    rooms: int
    persistent: bool
    data: Path | None
    database: str

    def connections(self, *, numbered_status: bool = False, inside: bytes = b"") -> Connections:
        """New clients for this server."""
        return Connections(
            self.host,
            self.port,
            self.domain,
            self.password,
            mechanism=self.mechanism,
            starttls=self.starttls,
            numbered_status=numbered_status,
            inside=inside,
        )

    def server_arguments(self) -> list[str]:
        """The same server, for another tool."""
        arguments = ["--host", self.host, "--domain", self.domain]
        arguments += ["--password", self.password, "--port", *map(str, self.port)]
        return [*arguments, "--starttls"] if self.starttls else arguments

    def login_statistics(self) -> Result:
        """The statistics of an xmppd about its logins."""
        if self.data is None:
            return {}
        rows = [row for row in ask(self.data / CONTROL, "stats", {}) if isinstance(row, dict)]
        numbers = {str(row["statistic"]): float(str(row["value"])) for row in rows}
        return {name: number for name, number in numbers.items() if name.startswith("logins_")}

    def users(self) -> list[str]:
        """The accounts the scenario needs; those with a roster are its own."""
        prefix, count = self.prefix, self.clients
        if self.scenario in ("chat", "carbons", "component", "rate"):
            count = 2 * self.pairs
        elif self.scenario in ("muc", "mucpresence"):
            count = self.occupants
        elif self.scenario == "mucjoin":
            count = self.occupants + 1
        elif self.scenario == "mucrooms":
            count = ROOM_PEOPLE
        elif self.scenario in ("presence", "pep", "peplogin"):
            prefix, count = f"{prefix}hub{self.contacts}x", self.contacts + 1
        elif self.scenario == "storm":
            prefix = f"{prefix}storm{count}x{self.contacts}x"
        elif self.scenario == "herd":
            prefix, count = f"{prefix}herd{count}x{self.contacts}x", count + CANARIES
        elif self.scenario == "ring":
            prefix = f"{prefix}ring{count}x{self.contacts}x{self.nodes}x"
            count *= self.rings
        return [f"{prefix}{number}" for number in range(count)]

    def friendships(self) -> list[tuple[int, int]]:
        """The mutual subscriptions the scenario needs, by number of user."""
        if self.scenario in ("presence", "pep", "peplogin"):
            return [(0, contact) for contact in range(1, self.contacts + 1)]
        if self.scenario == "storm":
            return random_friendships(self.clients, self.contacts)
        if self.scenario == "herd":
            return skewed_friendships(self.clients, self.contacts)
        if self.scenario == "ring":
            ring = ring_friendships(self.clients, self.contacts, self.nodes)
            starts = range(0, self.rings * self.clients, self.clients)
            return [(start + one, start + other) for start in starts for one, other in ring]
        return []


# -- counting ----------------------------------------------------------------------------


def count(
    client: Client,
    end_tag: bytes,
    counted: Callable[[int], None],
    seen: Callable[[bytes], None] = ignore,
) -> None:
    """Report how many stanzas each read of this client completes from now on.

    Args:
        client: That one.
        end_tag: Ends a stanza.
        counted: Called with their number.
        seen: Called with each read before that.
    """
    kept = len(end_tag) - 1
    client.tail = b""

    def on_data(data: bytes) -> None:
        if client.tail:
            data = client.tail + data
        client.tail = b"" if data.endswith(end_tag) else data[-kept:]
        seen(data)
        if stanzas := data.count(end_tag):
            counted(stanzas)

    client.on_data = on_data


class Total:
    """The number of stanzas that arrived, at all clients."""

    def __init__(self) -> None:
        self.stanzas = 0

    def add(self, stanzas: int) -> None:
        """So many more."""
        self.stanzas += stanzas


# -- setting up --------------------------------------------------------------------------


def set_up(options: Options, meter: Meter) -> None:
    """Create the accounts and rosters the scenario needs; existing ones are kept."""
    if options.data is not None and options.scenario == "herd":
        options.database = f"sqlite:///{options.data / DATABASE}"
    if options.database:
        fill(options.database, options.password, rosters(options))
        return
    register_users(options, options.users())
    if options.friendships():
        befriend(options, meter)


def rosters(options: Options) -> dict[str, list[str]]:
    """Everybody's contacts, by bare JID."""
    users = [f"{user}@{options.domain}" for user in options.users()]
    contacts: dict[str, list[str]] = {user: [] for user in users}
    for one, other in options.friendships():
        contacts[users[one]].append(users[other])
        contacts[users[other]].append(users[one])
    return contacts


def register_users(options: Options, users: list[str]) -> None:
    """Create those accounts that do not exist."""
    connections = options.connections()
    connections.register(users, options.concurrency)
    connections.close()


def befriend(options: Options, meter: Meter) -> None:
    """Make the mutual subscriptions through the protocol, and verify them by roster get."""
    users = options.users()
    wanted: dict[int, set[int]] = defaultdict(set)
    for one, other in options.friendships():
        wanted[one].add(other)
        wanted[other].add(one)
    for _ in range(ROSTER_PASSES):
        connections = options.connections()
        clients = connections.log_in(users, options.concurrency)
        connections.drain()
        numbers = {client.bare: client.index for client in clients}
        missing = {
            client: sorted(wanted[client.index] - mutual_contacts(client.roster, numbers))
            for client in clients
        }
        if not any(missing.values()):
            connections.close()
            return
        for kind in (b"subscribe", b"subscribed"):
            send_subscriptions(connections, clients, missing, kind)
            # A server that rewrites a long roster for each change may be silent for seconds.
            connections.drain(1.0, ROSTER_TIMEOUT_S)
            meter.settle(connections, ROSTER_TIMEOUT_S)
            connections.drain(1.0, ROSTER_TIMEOUT_S)
        connections.close()
        time.sleep(0.5)
    raise BenchError("the rosters could not be set up")


def mutual_contacts(roster: bytes, numbers: dict[bytes, int]) -> set[int]:
    """The numbers of those with subscription "both"."""
    found = set()
    for item in ITEM.findall(roster):
        jid = ITEM_JID.search(item)
        if jid and ITEM_MUTUAL.search(item):
            found.add(numbers[jid[1]])
    return found


def send_subscriptions(
    connections: Connections, clients: list[Client], missing: dict[Client, list[int]], kind: bytes
) -> None:
    """Send this presence from every user to each contact that is still missing."""
    for client, contacts in missing.items():
        for first in range(0, len(contacts), SUBSCRIPTIONS_PER_SEND):
            client.send(
                b"".join(
                    b"<presence to='%b' type='%b'/>" % (clients[contact].bare, kind)
                    for contact in contacts[first : first + SUBSCRIPTIONS_PER_SEND]
                )
            )
            connections.poll(0)


def random_friendships(users: int, contacts: int) -> list[tuple[int, int]]:
    """A random graph, the same in every run, in which nearly everybody has so many contacts."""
    chance = random.Random(42)
    degree = [0] * users
    pairs: set[tuple[int, int]] = set()
    others = list(range(users))
    for one in range(users):
        chance.shuffle(others)
        for other in others:
            if degree[one] >= contacts:
                break
            pair = (min(one, other), max(one, other))
            if one != other and degree[other] < contacts and pair not in pairs:
                pairs.add(pair)
                degree[one] += 1
                degree[other] += 1
    return sorted(pairs)


def skewed_friendships(users: int, contacts: int) -> list[tuple[int, int]]:
    """A random graph, the same in every run: many have few contacts, and a few have many."""
    chance = random.Random(42)
    pairs: set[tuple[int, int]] = set()
    while len(pairs) < users * contacts // 2:
        one, other = chance.randrange(users), int(users * chance.random() ** 2)
        if one != other:
            pairs.add((min(one, other), max(one, other)))
    return sorted(pairs)


def ring_friendships(users: int, contacts: int, nodes: int) -> list[tuple[int, int]]:
    """A graph in which everybody has so many contacts, half of them at the next one of so many
    nodes and half at the one before: users are at the nodes in turn, and divide evenly among them.
    """
    steps = [1 + nodes * each for each in range(contacts // 2)]
    pairs = ((user, (user + step) % users) for step in steps for user in range(users))
    return sorted({(min(pair), max(pair)) for pair in pairs})


# -- scenarios: each yields one result per repetition -------------------------------------


def register(options: Options, meter: Meter) -> Iterator[Result]:
    """An account is created in-band. Give an unused prefix."""
    before = meter.read()
    register_users(options, options.users())
    yield measured(before, meter.read(), options.clients)


def login(options: Options, meter: Meter) -> Iterator[Result]:
    """Connect, authenticate, bind, fetch the roster, become available."""
    users = options.users()
    if options.mechanism != "PLAIN":  # the tool's own PBKDF2 is paid here, once
        connections = options.connections()
        connections.log_in(users, options.concurrency)
        connections.close()
    for _ in range(options.repeat):
        meter.settle()
        rss_before_kb = meter.rss_kb()
        connections = options.connections()
        before = meter.read()
        clients = connections.log_in(users, options.concurrency)
        wall_s = time.perf_counter() - before.wall_s
        meter.settle(connections)
        after = meter.read()
        kb_per_session = (meter.rss_kb() - rss_before_kb) / len(clients)
        connections.close()
        meter.settle()
        logout = measured(after, meter.read(), len(clients))
        yield measured(before, after, len(clients), wall_s=wall_s) | {
            "kb_per_session": round(kb_per_session, 2),
            "logout_cpu_us": logout["cpu_us_per_op"],
        }


class Acknowledging:
    """A client with stream management (:xep:`0198`): it acknowledges what it gets when the server
    asks, and asks for its own stanzas now and then.

    Args:
        client: It has logged in.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.received = self._sent = 0
        client.send(f"<enable xmlns='{SM}'/>".encode())

    def seen(self, data: bytes) -> None:
        """Answer the server's questions."""
        if ASKED in data:
            self.client.send(b"<a xmlns='%b' h='%d'/>" % (SM.encode(), self.received))

    def counting(self, counted: Callable[[int], None]) -> Callable[[int], None]:
        """Count what comes, and tell another who counts."""

        def both(stanzas: int) -> None:
            self.received += stanzas
            counted(stanzas)

        return both

    def send(self, stanza: bytes, count: int) -> None:
        """Send so many stanzas."""
        self._sent += count
        if self._sent >= STANZAS_PER_QUESTION:
            self._sent = 0
            self.client.send(stanza * count + f"<r xmlns='{SM}'/>".encode())
        else:
            self.client.send(stanza * count)


def send(client: Client, stanza: bytes, count: int) -> None:
    """Send so many stanzas."""
    client.send(stanza * count)


def chat(options: Options, meter: Meter) -> Iterator[Result]:
    """A message is delivered; the window is how many each pair has on the way."""
    connections, clients = paired(options)
    yield from echo(options, meter, connections, clients, clients[::2], MESSAGE_END)


def carbons(options: Options, meter: Meter) -> Iterator[Result]:
    """A message reaches every resource of both people: one as itself, all others but its sender as
    copies (XEP-0280).
    """
    users = options.users()
    connections = options.connections()
    clients = connections.log_in(users * options.resources, options.concurrency)
    enable_carbons(connections, clients)
    connections.drain(0.7)
    talkers, others = clients[: len(users)], clients[len(users) :]
    pair(options, talkers)
    originals, copies = Total(), Total()
    for client in others:
        count(client, COPY_END, copies.add)
    for result in echo(options, meter, connections, talkers, talkers[::2], MESSAGE_END, originals):
        wanted = originals.stanzas * 2 * (options.resources - 1)
        if copies.stanzas != wanted:
            raise BenchError(f"{copies.stanzas} copies instead of {wanted}")
        deliveries = 1 + 2 * (options.resources - 1)
        yield result | {
            "cpu_us_per_delivery": round(float(str(result["cpu_us_per_op"])) / deliveries, 2)
        }


def enable_carbons(connections: Connections, clients: list[Client]) -> None:
    """Have every client get copies, and wait until all do."""
    enabled = Total()
    for client in clients:
        count(client, CARBONS_ENABLED, enabled.add)
        client.send(b"<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
    connections.serve_until(lambda: enabled.stanzas == len(clients), 60.0)
    for client in clients:
        client.on_data = ignore


def component(options: Options, meter: Meter) -> Iterator[Result]:
    """A message to a component (XEP-0114), or its answer, is delivered; it answers everything."""
    connections, clients = present(options)
    service = Component(connections, options.component_port)
    connections.serve_until(lambda: service.connected, 10.0)
    for client in clients:
        client.stanza = b"<message to='%b' type='chat' id='m1'><body>%b</body></message>" % (
            COMPONENT.encode(), BODY,
        )  # fmt: skip
    for result in echo(options, meter, connections, clients, clients, MESSAGE_END):
        messages = 2 * float(result["ops"] or 0)
        cost_us = float(result["cpu_us_per_op"] or 0) / 2
        yield result | {"ops": messages, "cpu_us_per_op": round(cost_us, 2)}


def ping(options: Options, meter: Meter) -> Iterator[Result]:
    """The server answers a ping (XEP-0199)."""
    connections, clients = present(options)
    for client in clients:
        client.stanza = (
            b"<iq type='get' id='p1' to='%b'><ping xmlns='urn:xmpp:ping'/></iq>"
            % options.domain.encode()
        )
    yield from echo(options, meter, connections, clients, clients, b"<iq")


def echo(
    options: Options,
    meter: Meter,
    connections: Connections,
    clients: list[Client],
    starters: list[Client],
    tag: bytes,
    total: Total | None = None,
) -> Iterator[Result]:
    """Closed loop: a client that gets a stanza sends one, until the time is over.

    Args:
        options: Of the command line.
        meter: Reads the clocks.
        connections: Closed in the end.
        clients: Who answer.
        starters: Who begin.
        tag: Ends a stanza.
        total: Counts those that came, warming up included.
    """
    total = total or Total()
    running = True

    def answering(client: Client, send: Callable[[bytes, int], None]) -> Callable[[int], None]:
        stanza = client.stanza

        def counted(stanzas: int) -> None:
            total.stanzas += stanzas
            if running:
                send(stanza, stanzas)

        return counted

    for client in clients:
        if options.managed:
            managed = Acknowledging(client)
            counted = answering(client, managed.send)
            count(client, tag, managed.counting(counted), managed.seen)
        else:
            count(client, tag, answering(client, partial(send, client)))
    if options.managed:
        connections.drain(0.7)  # before it is enabled nothing is counted
    for _ in range(options.repeat):
        running = True
        for client in starters:
            client.send(client.stanza * options.window)
        connections.serve(options.warmup)
        before, stanzas = meter.read(), total.stanzas
        connections.serve(options.duration)
        after, stanzas = meter.read(), total.stanzas - stanzas
        running = False
        connections.drain()
        yield measured(before, after, stanzas)
    connections.close()


def present(options: Options) -> tuple[Connections, list[Client]]:
    """Log all users in, and read everything that this caused."""
    connections = options.connections()
    clients = connections.log_in(options.users(), options.concurrency)
    connections.drain(0.7)
    return connections, clients


def paired(options: Options) -> tuple[Connections, list[Client]]:
    """Log in, and give each client a peer and a message for it."""
    connections, clients = present(options)
    pair(options, clients)
    return connections, clients


def pair(options: Options, clients: list[Client]) -> None:
    """Give each client a peer and a message for it."""
    for client in clients:
        client.peer = clients[client.index ^ 1]
        client.stanza = b"<message to='%b' type='chat' id='m1'><body>%b</body></message>" % (
            client.peer.jid if options.to == "full" else client.peer.bare,
            BODY,
        )


def rate(options: Options, meter: Meter) -> Iterator[Result]:
    """A message is delivered, at a fixed rate whatever the server does; measures latency."""
    connections, clients = paired(options)
    latencies_s: list[float] = []

    def timing(client: Client) -> Callable[[int], None]:
        sent_at = client.peer.sent_at

        def counted(stanzas: int) -> None:
            now = time.perf_counter()
            latencies_s.extend(now - sent_at.popleft() for _ in range(stanzas))

        return counted

    for client in clients:
        count(client, MESSAGE_END, timing(client))
    chance = random.Random(1)
    for _ in range(options.repeat):
        send_at_rate(connections, clients, chance, options.rate, options.warmup)
        latencies_s.clear()
        before = meter.read()
        send_at_rate(connections, clients, chance, options.rate, options.duration)
        after, delivered = meter.read(), len(latencies_s)
        connections.drain()
        yield measured(before, after, delivered) | percentiles(latencies_s)
    connections.close()


def send_at_rate(
    connections: Connections,
    clients: list[Client],
    chance: random.Random,
    per_s: float,
    duration_s: float,
) -> None:
    """Open loop: one of the clients sends every 1/per_s seconds."""
    due = time.perf_counter()
    end = due + duration_s
    while (now := time.perf_counter()) < end:
        while due <= now:
            client = clients[chance.randrange(len(clients))]
            client.sent_at.append(time.perf_counter())
            client.send(client.stanza)
            due += 1 / per_s
        connections.poll(max(0.0, min(due - time.perf_counter(), 0.02)))


def presence(options: Options, meter: Meter) -> Iterator[Result]:
    """One contact of many learns of a change of presence."""
    connections, (hub, *contacts) = present(options)

    def change(number: int) -> None:
        show = (b"away", b"chat", b"dnd", b"xa")[number % 4]
        hub.send(
            b"<presence><show>%b</show><status>status number %d</status></presence>"
            % (show, number)
        )

    for _ in range(options.repeat):
        yield broadcast_counts(options, meter, connections, contacts, change, PRESENCE_END)
    connections.close()


def pep(options: Options, meter: Meter) -> Iterator[Result]:
    """One contact of many learns of what somebody publishes (XEP-0163)."""
    interests = Interests(NEWS)
    connections = options.connections(inside=interests.presence)
    hub, *contacts = connections.log_in(options.users(), options.concurrency, interests.arrive)
    connections.drain(2.0)  # also those who were asked late are sent the newest item
    for _ in range(options.repeat):
        yield broadcast_counts(
            options,
            meter,
            connections,
            contacts,
            lambda number: hub.send(publish(NEWS, b"current", NEWS_ITEM % number)),
            MESSAGE_END,
            may_be_more=True,
        )
    connections.close()


def peplogin(options: Options, meter: Meter) -> Iterator[Result]:
    """Somebody logs in, sees contacts, and gets the newest items of three nodes of each; beside it
    the same login of a client that wants to be told of nothing.
    """
    nodes = [b"%b:%d" % (NEWS, number) for number in range(3)]
    user, *others = options.users()
    connections = options.connections()
    for contact in connections.log_in(others, options.concurrency):
        for node in nodes:
            contact.send(publish(node, b"current", NEWS_ITEM % 0))
    connections.drain(0.7)
    for _ in range(options.repeat):
        plain = logins(options, meter, connections, user, Interests(), 0)
        items_each = len(others) * len(nodes)
        yield logins(options, meter, connections, user, Interests(*nodes), items_each) | {
            "without_pep_us": plain["cpu_us_per_op"]
        }
    connections.close()


def logins(
    options: Options,
    meter: Meter,
    others: Connections,
    user: str,
    interests: Interests,
    items_each: int,
) -> Result:
    """What a login costs after which so many notifications come."""
    before, heard = meter.read(), Total()

    def arrive(client: Client) -> None:
        count(client, MESSAGE_END, heard.add, interests.answering(client))

    for number in range(options.messages):
        connections = options.connections(inside=interests.presence)
        connections.log_in([user], 1, arrive)
        wanted = (number + 1) * items_each
        connections.serve_until(lambda wanted=wanted: heard.stanzas >= wanted, 60.0)  # type: ignore[misc]
        connections.drain(0.1)
        connections.close()
        others.drain(0.1)
    if heard.stanzas < options.messages * items_each:
        raise BenchError(f"{heard.stanzas} notifications instead of so many times {items_each}")
    return measured(before, meter.read(), options.messages)


def storing(options: Options, meter: Meter) -> Iterator[Result]:
    """Somebody publishes an item at their account, which nobody is told; all do so at once."""
    connections, clients = present(options)
    for client in clients:
        client.stanza = publish(b"urn:bench:stored", b"current", NEWS_ITEM % client.index)
    yield from echo(options, meter, connections, clients, clients, IQ_END)


def bookmarks(options: Options, meter: Meter) -> Iterator[Result]:
    """A client gets its hundred bookmarks (XEP-0402)."""
    connections, clients = present(options)
    for client in clients:
        client.stanza = items(BOOKMARKS)
        for number in range(100):
            client.send(bookmark(number))
        connections.drain()
    yield from echo(options, meter, connections, clients, clients, IQ_END)


def muc(options: Options, meter: Meter) -> Iterator[Result]:
    """One occupant of a room gets a message (XEP-0045)."""
    connections, clients, room = in_room(options)
    message = b"<message to='%b' type='groupchat' id='g1'><body>%b</body></message>" % (room, BODY)
    for _ in range(options.repeat):
        yield broadcast_counts(
            options,
            meter,
            connections,
            clients,
            lambda number: clients[0].send(message),
            MESSAGE_END,
        )
    connections.close()


def mucpresence(options: Options, meter: Meter) -> Iterator[Result]:
    """One occupant of a room learns that another one says something else of being there."""
    connections, clients, room = in_room(options)

    def change(number: int) -> None:
        to = b"%b/nick%d" % (room, clients[0].index)
        clients[0].send(b"<presence to='%b'><status>number %d</status></presence>" % (to, number))

    for _ in range(options.repeat):
        yield broadcast_counts(options, meter, connections, clients, change, PRESENCE_END)
    connections.close()


def mucjoin(options: Options, meter: Meter) -> Iterator[Result]:
    """Somebody enters a full room: all see them, and they see all; latency is of the whole."""
    connections, (newcomer, *clients), room = in_room(options, outside=1)
    total = Total()
    for client in clients:
        count(client, PRESENCE_END, total.add)
    for _ in range(options.repeat):
        latencies_s: list[float] = []
        start = meter.read()
        cpu_s = 0.0
        for _ in range(options.messages):
            connections.drain(0.2)
            total.stanzas, before = 0, meter.read()
            seen = Total()
            count(newcomer, PRESENCE_END, seen.add)
            newcomer.send(join(room, newcomer))
            wanted = len(clients)
            connections.serve_until(
                lambda seen=seen, wanted=wanted: seen.stanzas > wanted and total.stanzas >= wanted,  # type: ignore[misc]
                60.0,
            )
            after = meter.read()
            latencies_s.append(after.wall_s - before.wall_s)
            cpu_s += after.server_cpu_s - before.server_cpu_s
            newcomer.send(leave(room, newcomer))
            connections.drain(0.5)
        result = measured(start, meter.read(), options.messages)
        result["cpu_us_per_op"] = round(cpu_s / options.messages * 1e6, 2)
        yield result | percentiles(latencies_s)
    connections.close()


def mucrooms(options: Options, meter: Meter) -> Iterator[Result]:
    """One occupant of one of many rooms gets a message."""
    connections, clients = present(options)
    rooms = [new_room(options.domain) for _ in range(options.rooms)]
    people = [
        [clients[(number + each) % len(clients)] for each in range(options.occupants)]
        for number in range(len(rooms))
    ]
    for room, inside in zip(rooms, people, strict=True):
        open_room(connections, inside[0], room)
        enter(connections, inside[1:], room)
    connections.drain(1.0)
    total = Total()
    for client in clients:
        count(client, MESSAGE_END, total.add)
    for _ in range(options.repeat):
        total.stanzas = sent = 0
        before = meter.read()
        for room, inside in list(zip(rooms, people, strict=True)) * options.messages:
            inside[0].send(
                b"<message to='%b' type='groupchat' id='g1'><body>%b</body></message>"
                % (room, BODY)
            )
            sent += len(inside)
            wanted = sent - MOST_ON_THE_WAY
            connections.serve_until(lambda wanted=wanted: total.stanzas >= wanted, 60.0)  # type: ignore[misc]
        connections.serve_until(lambda sent=sent: total.stanzas >= sent, 60.0)  # type: ignore[misc]
        yield measured(before, meter.read(), sent)
    connections.close()


def in_room(options: Options, outside: int = 0) -> tuple[Connections, list[Client], bytes]:
    """A room in which all clients are, but for the first ones."""
    connections, clients = present(options)
    room = new_room(options.domain)
    owner, *others = clients[outside:]
    open_room(connections, owner, room, persistent=options.persistent)
    fill_room(connections, others, room)
    return connections, clients, room


def broadcast_counts(
    options: Options,
    meter: Meter,
    connections: Connections,
    watchers: list[Client],
    send: Callable[[int], None],
    end_tag: bytes,
    *,
    may_be_more: bool = False,
) -> Result:
    """Send one stanza to all watchers, the next when all have it; latency is that of the last.

    A server may tell some of them twice, if that is said: then each delivery counts all the same.
    """
    total = Total()
    for client in watchers:
        count(client, end_tag, total.add)
    latencies_s = []
    before = meter.read()
    for number in range(options.messages):
        began = time.perf_counter()
        send(number)
        wanted = (number + 1) * len(watchers)
        connections.serve_until(lambda wanted=wanted: total.stanzas >= wanted, 60.0)  # type: ignore[misc]
        latencies_s.append(time.perf_counter() - began)
    after = meter.read()
    connections.drain()
    deliveries = options.messages * len(watchers)
    beyond = total.stanzas - deliveries
    if beyond and not (may_be_more and beyond > 0):
        raise BenchError(f"{total.stanzas} deliveries instead of {deliveries}")
    result = measured(before, after, total.stanzas) | percentiles(latencies_s)
    return result | {"beyond": beyond} if may_be_more else result


def storm(options: Options, meter: Meter) -> Iterator[Result]:
    """All come back at once; a client is back when it sees all its contacts."""
    users, contacts = options.users(), degrees(options)
    for _ in range(options.repeat):
        meter.settle()
        connections = options.connections(numbered_status=True)
        waiting = {number for number in range(len(users)) if contacts[number]}
        before = meter.read()
        connections.log_in(users, len(users), seeing(contacts, waiting, Total()))
        connections.serve_until(lambda waiting=waiting: not waiting, 120.0)  # type: ignore[misc]
        wall_s = time.perf_counter() - before.wall_s
        meter.settle(connections)
        after = meter.read()
        connections.close()
        meter.settle()
        yield measured(before, after, len(users), wall_s=wall_s)


def ring(options: Options, meter: Meter) -> Iterator[Result]:
    """All come back at once, each with contacts at the two neighbouring nodes; as a storm, with the
    memory that a session takes. Other rings may be there before: what a process needs once is not
    counted for these sessions then.
    """
    everybody, size = options.users(), options.clients
    users, contacts = everybody[-size:], degrees(options)[-size:]
    for _ in range(options.repeat):
        connections, heard = options.connections(numbered_status=True), Total()
        for start in range(0, len(everybody) - size, size):
            connections.log_in(everybody[start : start + size], options.concurrency)
        meter.settle(connections)
        rss_before_kb = meter.rss_kb()
        waiting = set(range(size))
        before = meter.read()
        connections.log_in(users, options.concurrency, seeing(contacts, waiting, heard))
        connections.serve_until(lambda waiting=waiting: not waiting, HERD_TIMEOUT_S)  # type: ignore[misc]
        wall_s = time.perf_counter() - before.wall_s
        meter.settle(connections)
        after = meter.read()
        yield measured(before, after, len(users), wall_s=wall_s) | {
            "kb_per_session": round((meter.rss_kb() - rss_before_kb) / len(users), 2),
            "presences_per_needed": round(heard.stanzas / sum(contacts), 4),
        }
        connections.close()
        meter.settle()


def herd(options: Options, meter: Meter) -> Iterator[Result]:
    """All come back at once as after a restart, while two that never left talk to each other.

    Latency is theirs. Beside it stands what was needed: presences against the least that would do,
    the peak of memory, and for xmppd how many waited for their turn.
    """
    *users, romeo, juliet = options.users()
    contacts = degrees(options)
    for _ in range(options.repeat):
        meter.settle()
        canary = Canary([romeo, juliet, *options.server_arguments()])
        meter.forget_peak()
        connections, heard = options.connections(numbered_status=True), Total()
        waiting = {number for number in range(len(users)) if contacts[number]}
        before = meter.read()
        connections.log_in(users, len(users), seeing(contacts, waiting, heard), HERD_TIMEOUT_S)
        connections.serve_until(lambda waiting=waiting: not waiting, HERD_TIMEOUT_S)  # type: ignore[misc]
        wall_s = time.perf_counter() - before.wall_s
        latencies = canary.stop()
        meter.settle(connections)
        after = meter.read()
        yield (
            measured(before, after, len(users), wall_s=wall_s)
            | latencies
            | {
                "presences_per_needed": round(heard.stanzas / sum(contacts), 4),
                "peak_kb": meter.peak_kb(),
            }
            | options.login_statistics()
        )
        connections.close()
        meter.settle()


def degrees(options: Options) -> list[int]:
    """The number of contacts of each user."""
    contacts = [0] * len(options.users())
    for one, other in options.friendships():
        contacts[one] += 1
        contacts[other] += 1
    return contacts


def seeing(contacts: list[int], waiting: set[int], heard: Total) -> Callable[[Client], None]:
    """Let each client note the presences it sees, and stop waiting when it has seen them all."""

    def watch(client: Client) -> None:
        client.seen, client.tail = set(), b""
        own = b"%d" % client.index

        def on_data(data: bytes) -> None:
            complete, _, client.tail = (client.tail + data).rpartition(PRESENCE_END)
            others = [number for number in NUMBERED_STATUS.findall(complete) if number != own]
            heard.add(len(others))
            client.seen.update(others)
            if len(client.seen) == contacts[client.index]:
                waiting.discard(client.index)

        client.on_data = on_data

    return watch


def idle(options: Options, meter: Meter) -> Iterator[Result]:
    """A second passes in which no client does anything."""
    users = options.users()
    meter.settle()
    rss_before_kb = meter.rss_kb()
    connections = options.connections()
    clients = connections.log_in(users, options.concurrency)
    meter.settle(connections)
    kb_per_session = (meter.rss_kb() - rss_before_kb) / len(clients)
    connections.serve(1.0)
    for _ in range(options.repeat):
        before = meter.read()
        connections.serve(options.duration)
        yield measured(before, meter.read(), options.duration) | {
            "kb_per_session": round(kb_per_session, 2)
        }
    connections.close()


SCENARIOS: dict[str, Callable[[Options, Meter], Iterator[Result]]] = {
    scenario.__name__: scenario
    for scenario in (
        register,
        login,
        chat,
        component,
        carbons,
        rate,
        presence,
        pep,
        peplogin,
        storing,
        bookmarks,
        storm,
        herd,
        ring,
        muc,
        mucpresence,
        mucjoin,
        mucrooms,
        ping,
        idle,
    )
}


def parse(arguments: list[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("scenario", choices=SCENARIOS)
    add("--host", default="127.0.0.1")
    add("--port", type=int, nargs="+", default=[5222], help="of several nodes: users in turn")
    add("--component-port", type=int, default=5347)
    add("--domain", default="p.test")
    add("--password", default="pw")
    add("--prefix", default="u", help="user names are PREFIX0, PREFIX1, …")
    add("--server-pid", type=int, nargs="+", required=True, help="children are included")
    add("--beside-pid", type=int, nargs="*", default=[], help="what it needs, measured apart")
    add("--setup", action="store_true", help="only create accounts and rosters")
    add("--mechanism", choices=["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-256"], default="PLAIN")
    add("--starttls", action="store_true")
    add("--concurrency", type=int, default=50, help="logins in progress at once")
    add("--repeat", type=int, default=3)
    add(
        "-n",
        "--clients",
        type=int,
        default=500,
        help="register, login, ping, idle, storm, herd, ring, storing, bookmarks",
    )
    add("--pairs", type=int, default=50, help="chat, carbons, rate")
    add("--resources", type=int, default=3, help="carbons: of each account")
    add("--window", type=int, default=1, help="chat, carbons, ping: stanzas outstanding")
    add(
        "--to",
        choices=["bare", "full"],
        default="bare",
        help="chat, carbons, rate: kind of address",
    )
    add("--managed", action="store_true", help="chat, carbons: with stream management")
    add("--duration", type=float, default=4.0, help="chat, rate, ping, idle: seconds")
    add("--warmup", type=float, default=1.0, help="chat, rate, ping: seconds")
    add("--rate", type=float, default=500.0, help="rate: messages per second")
    add("--contacts", type=int, default=50, help="presence, pep, peplogin, storm, herd, ring")
    add("--rings", type=int, default=1, help="ring: so many, of which the last one is measured")
    add(
        "--nodes", type=int, default=3, help="ring: of the service, at which contacts are next door"
    )
    add(
        "--messages",
        type=int,
        default=200,
        help="presence, muc, pep: stanzas sent; peplogin: logins; mucjoin: joins",
    )
    add("--occupants", type=int, default=100, help="muc…: of a room")
    add("--rooms", type=int, default=1_000, help="mucrooms")
    add("--persistent", action="store_true", help="muc: the room stays, and so has an archive")
    add("--data", type=Path, help="of an xmppd: rosters are made there, its statistics are told")
    add("--database", default="", metavar="URL", help="of an xmppd: accounts are made there")
    return parser.parse_args(arguments, Options())


def main() -> int:
    """Run one scenario."""
    options = parse()
    raise_descriptor_limit()
    meter = Meter(options.server_pid, options.beside_pid)
    try:
        if options.setup:
            set_up(options, meter)
            return 0
        for result in SCENARIOS[options.scenario](options, meter):
            print(json.dumps(result), flush=True)
    except (BenchError, OSError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
