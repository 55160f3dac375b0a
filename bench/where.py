"""The time of a stanza, stage by stage, without sockets.

    python -m bench.where

The pipeline runs in memory, cut off behind each of its stages in turn; what a stage costs is the
difference to the run before. The kernel and the endpoint come on top: compare with ``chat-w20`` and
``presence-50`` of bench.compare.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.compare import machine, table
from bench.load import BODY
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.roster.roster import Roster
from xmppd.router.iq_router import IQRouter
from xmppd.router.message_router import MessageRouter
from xmppd.router.packet_router import PacketRouter
from xmppd.router.presence_router import PresenceRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stream.stanza_handler import StanzaHandler
from xmppd.stream.stream_parser import StreamParser
from xmppd.testing.client import Client
from xmppd.testing.house import House

DOMAIN = "p.test"
CONTACTS = 50
RUNS = 7
STANZAS = 10_000


class Wire:
    """A transport that sends nothing."""

    def write(self, data: bytes) -> None:
        """Take these bytes, and forget them."""

    def pauseProducing(self) -> None:
        """Never happens here."""

    resumeProducing = pauseProducing


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


def main() -> int:
    """Print a table for each walk."""
    print(f"{machine()}\n")
    clients = people()
    for walk in WALKS:
        print(f"### {walk.title}\n")
        print(table(["stage", "µs", "so far"], walked(walk, clients)), end="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
