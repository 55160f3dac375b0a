"""The time of a stanza and of a login, stage by stage, without sockets.

    python -m bench.where

The pipeline runs in memory, cut off behind each of its stages in turn; what a stage costs is the
difference to the run before. Conversations tell what acknowledging and archiving add to a message.
A login is taken step by step, each step for all of some clients. The kernel and the endpoint come
on top: compare with ``chat-w20``, ``presence-50`` and ``login-plain`` of bench.compare, and with
what the floor takes there.
"""

import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.python.failure import Failure

from bench.compare import machine, table
from bench.load import BODY
from bench.ours import plugins
from xmppd.config.config import ListenSettings
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.transport import Ranked, Watchable
from xmppd.roster.roster import Roster
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.stream_management import REQUEST
from xmppd.stanza import ns
from xmppd.stanza.phrases import counted
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.stream.stream_parser import StreamParser
from xmppd.testing.client import Client, done
from xmppd.testing.house import PASSWORD, House
from xmppd.testing.nodes import Nodes

DOMAIN = "p.test"
CONTACTS = 50
PEER = IPv4Address("TCP", "192.0.2.1", 1)
RUNS = 7
STANZAS = 10_000
CLIENTS = 200
CLOSED = Failure(ConnectionDone())
PAIRS = 50
ROUNDS = 200
SPREAD, SPREAD_RUNS, EACH_RUN = 200, 100, 6
ROUND_S = 0.005
"""The time that a round takes on the clock of the house: 10,000 messages a second."""

SM = ns.STREAM_MANAGEMENT.encode()
MESSAGE = b"<message to='%b@p.test' type='chat' id='m1'><body>%b</body></message>"
AFTERWARDS_S = 60.0
"""The time after which no timer is left of who has gone."""


class Wire(Ranked, Watchable):
    """A transport that sends nothing."""

    goes_first = False

    def write(self, data: bytes) -> None:
        """Take these bytes, and forget them."""

    def pauseProducing(self) -> None:
        """Never happens here."""

    def watch_queue(self, watcher: IPushProducer) -> None:
        """Nothing is ever queued."""

    def getPeer(self) -> IAddress:
        """Somebody."""
        return PEER

    resumeProducing = loseConnection = pauseProducing


@dataclass(frozen=True)
class Stage:
    """A stage, and the way to leave it out with all that follow."""

    name: str
    owner: type
    method: str
    instead: Any = None
    """What the method returns then."""


@dataclass(frozen=True)
class Walk:
    """A stanza with its sender, and the stages it comes to, in order."""

    title: str
    stanza: bytes
    sender: str
    stages: tuple[Stage, ...]


WIRE = Stage("ConnectionHandler: turns, token buckets", StreamParser, "feed")
PARSER = Stage("StreamParser: bytes to a tree", StanzaHandler, "handle")
STANZA = Stage("StanzaHandler: type, address, sender", PacketRouter, "route")

WALKS = (
    Walk(
        "A message of 100 bytes, to a bare JID",
        b"<message to='juliet@p.test' type='chat' id='m1'><body>%b</body></message>" % BODY,
        "romeo",
        (
            WIRE,
            PARSER,
            STANZA,
            Stage("PacketRouter: interceptors, privacy", MessageRouter, "route"),
            Stage("MessageRouter: whom it is for; its bytes", LocalClientSession, "deliver", True),
        ),
    ),
    Walk(
        "A ping to the server",
        b"<iq type='get' id='p1' to='p.test'><ping xmlns='urn:xmpp:ping'/></iq>",
        "romeo",
        (
            WIRE,
            PARSER,
            STANZA,
            Stage("PacketRouter", IQRouter, "route"),
            Stage("IQRouter and the handler", RoutingTable, "route"),
            Stage("the answer: its bytes, its route", LocalClientSession, "deliver", True),
        ),
    ),
    Walk(
        f"A presence to {CONTACTS} contacts and oneself",
        b"<presence><show>away</show><status>status number 1</status></presence>",
        "hub",
        (
            WIRE,
            PARSER,
            STANZA,
            Stage("PacketRouter", PresenceRouter, "route"),
            Stage("PresenceRouter", PresenceUpdateHandler, "process"),
            Stage("PresenceUpdateHandler: state, counts", Roster, "broadcast", CONTACTS + 1),
            Stage("Roster.broadcast: a splice for each", LocalClientSession, "deliver", True),
        ),
    ),
)


def people() -> dict[str, Client]:
    """Romeo and Juliet, and a hub with its contacts, all online on connections that lead
    nowhere.
    """
    contacts = {f"c{number}": "both" for number in range(CONTACTS)}
    house = House(DOMAIN, plugins=("ping",), romeo={}, juliet={}, hub=contacts)
    for contact in contacts:
        house.add(contact, {"hub": "both"})
    names = ("romeo", "juliet", "hub", *contacts)
    clients = dict(zip(names, house.connect(*names), strict=True))
    for client in clients.values():
        client.handler.transport = Wire()  # type: ignore[assignment]  # all that is asked of it
    return clients


@contextmanager
def cut(stage: Stage | None) -> Iterator[None]:
    """Leave out what follows a stage; None leaves out nothing."""
    if stage is None:
        yield
        return
    original = stage.owner.__dict__[stage.method]
    setattr(stage.owner, stage.method, lambda *_, **__: stage.instead)
    try:
        yield
    finally:
        setattr(stage.owner, stage.method, original)


def cost_us(feed: Callable[[bytes], None], stanza: bytes, stanzas: int) -> float:
    """The CPU time of one stanza, the best of some runs."""
    best_s = float("inf")
    for _ in range(RUNS):
        began = time.process_time()
        for _ in range(stanzas):
            feed(stanza)
        best_s = min(best_s, time.process_time() - began)
    return best_s / stanzas * 1e6


def walked(walk: Walk, clients: dict[str, Client], stanzas: int = STANZAS) -> list[list[str]]:
    """For each stage its own cost, and what has been spent until behind it."""
    feed = clients[walk.sender].handler.dataReceived
    rows, spent_us = [], 0.0
    names = [stage.name for stage in walk.stages] + [
        "deliver and write, to a wire without a socket"
    ]
    for name, stage in zip(names, (*walk.stages, None), strict=True):
        with cut(stage):
            total_us = cost_us(feed, walk.stanza, stanzas)
        rows.append([name, f"{max(0.0, total_us - spent_us):.2f}", f"{total_us:.2f}"])
        spent_us = total_us
    return rows


class Acknowledging(Wire):
    """The wire of a client that counts what it gets, and acknowledges that when it is asked."""

    def __init__(self) -> None:
        self.received = 0
        self.asked = False

    def write(self, data: bytes) -> None:
        """Count a message; it is asked for, or a request came."""
        if data == REQUEST:
            self.asked = True
        else:
            self.received += 1


class Talk:
    """Pairs of people who write to each other: first one half of them, then the other.

    Args:
        managed: Whether their clients acknowledge what they get (:xep:`0198`).
        archives: Whether it is archived; in memory, so that what is written is rows, and no disk.
    """

    def __init__(self, *, managed: bool, archives: bool) -> None:
        names = [f"u{number}" for number in range(2 * PAIRS)]
        self.house = House(DOMAIN, plugins=plugins(archives=archives))
        for name in names:
            self.house.add(name)
        clients = self.house.connect(*names)
        self.feeds = [client.handler.dataReceived for client in clients]
        self.wires = [Acknowledging() for _ in clients]
        for client, wire in zip(clients, self.wires, strict=True):
            client.send("<presence/>")
            client.handler.transport = wire  # type: ignore[assignment]  # all that is asked of it
            if managed:
                client.handler.dataReceived(b"<enable xmlns='%b'/>" % SM)
                wire.received = 0
        self.stanzas = [MESSAGE % (names[number ^ 1].encode(), BODY) for number in range(2 * PAIRS)]

    def round(self, first: int) -> None:
        """Everybody of one half says something; the others acknowledge it."""
        for feed, stanza in zip(self.feeds[first::2], self.stanzas[first::2], strict=True):
            feed(stanza)
        for feed, wire in zip(self.feeds, self.wires, strict=True):
            if wire.asked:
                wire.asked = False
                feed(b"<a xmlns='%b' h='%d'/>" % (SM, wire.received))
        self.house.clock.advance(ROUND_S)

    def cost_us(self) -> float:
        """The CPU time of one message, the best of some runs."""
        best_s = inf
        for _ in range(RUNS):
            began = time.process_time()
            for number in range(ROUNDS):
                self.round(number % 2)
            best_s = min(best_s, time.process_time() - began)
        return best_s / (ROUNDS * PAIRS) * 1e6


def talked() -> list[list[str]]:
    """What a message costs in a conversation: as it is, acknowledged, and archived as well."""
    ways = (
        ("as it is", False, False),
        ("acknowledged by its recipient", True, False),
        ("acknowledged, and in the archives of both", True, True),
    )
    return [
        [name, f"{Talk(managed=managed, archives=archives).cost_us():.1f}"]
        for name, managed, archives in ways
    ]


class Spread:
    """Somebody whose contacts are at nodes of one service, in turn.

    Args:
        nodes: So many.
        contacts: Likewise.
    """

    def __init__(self, nodes: int, contacts: int = SPREAD) -> None:
        friends = [f"c{number}" for number in range(contacts)]
        names = [f"n{number}" for number in range(nodes)]
        self.nodes = Nodes(*names, hub=dict.fromkeys(friends, "both"))
        for friend in friends:
            self.nodes["n0"].add(friend, {"hub": "both"})
        (hub,) = self.nodes["n0"].connect("hub")
        clients = [hub]
        for number, friend in enumerate(friends):
            clients += self.nodes[f"n{number % nodes}"].connect(friend)
            self.nodes.settle()
        for client in clients:
            client.handler.transport = Wire()  # type: ignore[assignment]  # all that is asked of it
        self.feed, self.contacts = hub.handler.dataReceived, contacts

    def cost_us(self, runs: int = SPREAD_RUNS) -> float:
        """The CPU time at all nodes for one contact of a change of presence, the least of some."""
        best_s = inf
        for number in range(runs):
            began = time.process_time()
            for status in range(number * EACH_RUN, (number + 1) * EACH_RUN):
                self.feed(b"<presence><status>%d</status></presence>" % status)
                self.nodes.settle()
            best_s = min(best_s, time.process_time() - began)
        return best_s / (EACH_RUN * self.contacts) * 1e6


HEADER = (
    f"<?xml version='1.0'?><stream:stream xmlns='{ns.CLIENT}' xmlns:stream='{ns.STREAM}' "
    f"to='{DOMAIN}' version='1.0'>"
).encode()
AUTH = b"<auth xmlns='%b' mechanism='PLAIN'>%%b</auth>" % ns.SASL.encode()
BIND = b"<iq type='set' id='b'><bind xmlns='%b'/></iq>" % ns.BIND.encode()
ROSTER = b"<iq type='get' id='r'><query xmlns='%b'/></iq>" % ns.ROSTER.encode()
LOGIN: tuple[tuple[str, bytes], ...] = (
    ("a header, answered with features", HEADER),
    ("auth: PLAIN, with a password that was right before", AUTH),
    ("a header, answered with features, once more", HEADER),
    ("bind", BIND),
    ("the roster, which is empty", ROSTER),
    ("the first presence", b"<presence><priority>1</priority></presence>"),
    ("the end of the stream, and goodbye", b"</stream:stream>"),
)


def said_by(name: str, step: bytes) -> bytes:
    """What somebody says for a step of LOGIN."""
    return step % b64encode(f"\0{name}\0{PASSWORD}".encode()) if step is AUTH else step


"""What a client says when it logs in; the steps at both ends have no bytes."""


class Logins:
    """Clients that log in, and leave, all of them a step at a time.

    Args:
        plugins: That are loaded.
        clients: So many.
    """

    def __init__(self, plugins: Sequence[str], clients: int = CLIENTS) -> None:
        self.house = House(DOMAIN, plugins=tuple(plugins))
        self.names = [f"u{number}" for number in range(clients)]
        for name in self.names:
            account = self.house.jid(name).bare
            done(self.house.server.passwords.create(account, PASSWORD))
        listener = self.house.server.listeners.listener(
            ListenSettings(endpoint="", kind="client", tls="none")
        )
        self.make = partial(listener.buildProtocol, PEER)

    def steps(self) -> Iterator[tuple[str, float]]:
        """Each step of a login, and its CPU time in seconds for all of them."""
        handlers: list[ConnectionHandler] = []

        def connect() -> None:
            for _ in self.names:
                handlers.append(self.make())
                handlers[-1].makeConnection(Wire())  # type: ignore[no-untyped-call]

        def say(words: Sequence[bytes]) -> None:
            for handler, said in zip(handlers, words, strict=True):
                handler.dataReceived(said)

        def lose() -> None:
            for handler in handlers:
                handler.connectionLost(CLOSED)

        yield "a connection is made", cost_s(connect)
        for title, said in LOGIN:
            words = [said_by(name, said) for name in self.names]
            yield title, cost_s(partial(say, words))
            self.house.clock.advance(0)
        yield "the connection is gone", cost_s(lose)

    def costs(self, runs: int = RUNS) -> dict[str, float]:
        """What each step costs, in microseconds: the least of some runs."""
        least: dict[str, float] = {}
        for run in range(runs + 1):
            for step, spent_s in self.steps():
                if run:  # in the first one passwords are hashed
                    step_us = spent_s / len(self.names) * 1e6
                    least[step] = min(step_us, least.get(step, inf))
            self.house.clock.advance(AFTERWARDS_S)
        return least


def login_costs() -> dict[str, float]:
    """What each step of a login costs, and all of it."""
    costs = Logins(plugins(archives=False)).costs()
    return {**costs, "all of it": sum(costs.values())}


def logged_in() -> list[list[str]]:
    """For each step of a login its own cost, and what has been spent by then."""
    rows, so_far_us = [], 0.0
    for step, step_us in Logins(plugins(archives=False)).costs().items():
        so_far_us += step_us
        rows.append([step, f"{step_us:.1f}", f"{so_far_us:.1f}"])
    return rows


def cost_s(step: Callable[[], None]) -> float:
    """The CPU time of what is done."""
    began = time.process_time()
    step()
    return time.process_time() - began


def main() -> int:
    """Print a table for each walk, and one for a login."""
    print(f"{machine()}\n")
    print("### A login by PLAIN, in the clear\n")
    print(table(["step", "µs", "so far"], logged_in()), end="\n\n")
    clients = people()
    for walk in WALKS:
        print(f"### {walk.title}\n")
        print(table(["stage", "µs", "so far"], walked(walk, clients)), end="\n\n")
    print(f"### A presence to {SPREAD} contacts, a delivery\n")
    rows = [[counted(nodes, "node"), f"{Spread(nodes).cost_us():.2f}"] for nodes in (1, 3)]
    print(table(["service of", "µs"], rows), end="\n\n")
    print("### A message in a conversation, to a bare JID\n")
    print(table(["message", "µs"], talked()), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
