"""What it costs to publish, and to be in a room, in memory.

    python -m bench.fan_out                      # this checkout
    python -m bench.fan_out --beside ../parent   # in turn with another one
    python -m bench.fan_out --only join --rounds 200

A house in memory, on wires that lead nowhere; its database is SQLite's in memory, written at once
by the driver itself, so that threads, disk and sockets are left out. What is told is the least CPU
time of many short runs. With another checkout beside it, each has a process of its own, and they
run in turn. What a server needs in all is told by ``pubsub-publish``, ``pep-publish-200``,
``pep-login-50`` and the scenarios of rooms in bench.compare.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from math import inf
from pathlib import Path
from time import process_time
from typing import IO, TypeVar

from sqlalchemy import Connection
from twisted.internet.task import Clock

from bench.compare import machine, table
from bench.load import BODY, NEWS, NEWS_ITEM
from bench.ours import plugins
from bench.publishing import Interests, publish
from bench.where import DOMAIN, Wire
from xmppd.store.engine import sqlite_connection, transaction
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store
from xmppd.testing.client import Client
from xmppd.testing.house import SOME_AFTERNOON, House, house_config

ROUNDS = 100
CONTACTS = 200
FRIENDS, NODES = 50, 3
"""Of who logs in, and the nodes of each that are wanted."""

OCCUPANTS, MANY = 100, 1_000
ROOM = b"bench@conference.p.test"
HERE = Path(__file__).resolve().parent.parent

T = TypeVar("T")
Work = Callable[[], float]
"""A short run; its CPU time in seconds for each of what it does."""


class ByDriver(MemoryDatabase):
    """A database in memory whose transactions are the driver's own, as those of a file are."""

    def __init__(self) -> None:
        super().__init__()
        self._writer = self.engine.connect()

    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        """Make the change."""
        with transaction(sqlite_connection(self._writer)):
            return change(self._writer)


def house(*, archives: bool = False) -> House:
    """A house with the plugins of bench.compare, whose rooms have no limits."""
    config = house_config(
        DOMAIN,
        stream={"idle_timeout_s": 86_400.0},
        muc={"messages_per_s": 0, "large_room_occupants": 5_000},
    )
    clock = Clock()
    store = Store(ByDriver(), clock, lambda: SOME_AFTERNOON + clock.seconds())
    return House(config=config, plugins=plugins(archives=archives), store=store, clock=clock)


def to_nowhere(*clients: Client) -> None:
    """Let nothing that clients are sent be kept."""
    for client in clients:
        client.handler.transport = Wire()  # type: ignore[assignment]  # all that is asked of it


def timed(work: Callable[[], None], times: int) -> float:
    """The CPU time of each of so many."""
    began = process_time()
    for _ in range(times):
        work()
    return (process_time() - began) / times


def interested(client: Client, interests: Interests) -> None:
    """Have a client say what it wants, and answer what it is asked."""
    client.send(b"<presence>%b</presence>" % interests.presence)
    for asked in client.look().find_all("iq[@type='get']"):
        client.send(interests.answer(asked.get("id", "").encode(), asked.get("from", "").encode()))


# -- what is measured -----------------------------------------------------------------------------


def item() -> Work:
    """An item at the own account, of which nobody is told."""
    made = house()
    made.add("romeo")
    [romeo] = made.connect("romeo")
    to_nowhere(romeo)
    stanza = publish(b"urn:bench:stored", b"current", NEWS_ITEM % 1)
    feed = romeo.handler.dataReceived
    return lambda: timed(lambda: feed(stanza), 50)


def oldest() -> Work:
    """A further item there, for which the oldest one makes room."""
    made, numbers = house(), count()
    made.add("romeo")
    [romeo] = made.connect("romeo")
    to_nowhere(romeo)
    feed = romeo.handler.dataReceived
    return lambda: timed(
        lambda: feed(publish(b"urn:bench:stored", b"%d" % next(numbers), NEWS_ITEM % 1)), 50
    )


def told() -> Work:
    """An item at the own account that is told to 200 contacts."""
    names = [f"c{number}" for number in range(CONTACTS)]
    made, interests = house(), Interests(NEWS)
    made.add("hub", dict.fromkeys(names, "both"))
    for name in names:
        made.add(name, {"hub": "both"})
    hub, *others = made.connect("hub", *names)
    for client in others:
        interested(client, interests)
    stanza = publish(NEWS, b"current", NEWS_ITEM % 1)
    hub.send(stanza)
    assert all(b"number 1" in client.raw() for client in others), "they are told"
    to_nowhere(hub, *others)
    feed = hub.handler.dataReceived
    return lambda: timed(lambda: feed(stanza), 10)


def newest() -> Work:
    """Presence of who comes, and is shown 50 contacts and 150 newest items."""
    return arrival(*(b"%b:%d" % (NEWS, number) for number in range(NODES)))


def plain() -> Work:
    """The same of who wants no items."""
    return arrival()


def arrival(*wanted: bytes) -> Work:
    """Somebody comes whose contacts have published."""
    names = [f"c{number}" for number in range(FRIENDS)]
    made, interests = house(), Interests(*wanted)
    made.add("romeo", dict.fromkeys(names, "both"))
    for name in names:
        made.add(name, {"romeo": "both"})
    romeo, *others = made.connect("romeo", *names)
    for client in others:
        for number in range(NODES):
            client.send(publish(b"%b:%d" % (NEWS, number), b"current", NEWS_ITEM % number))
    interested(romeo, interests)
    assert romeo.raw().count(b"<event") == FRIENDS * len(wanted), "they are shown"
    to_nowhere(romeo, *others)
    feed = romeo.handler.dataReceived
    here = b"<presence>%b</presence>" % interests.presence

    def run() -> float:
        feed(b"<presence type='unavailable'/>")
        made.clock.advance(0)
        return timed(lambda: feed(here), 1)

    return run


def in_room(occupants: int, *, archives: bool = False) -> tuple[House, list[Client]]:
    """A room with so many occupants; it has an archive if there are any."""
    made = house(archives=archives)
    names = [f"u{number}" for number in range(occupants)]
    for name in names:
        made.add(name)
    clients = made.connect(*names)
    to_nowhere(*clients[1:])
    enter(made, clients[0], 0)
    clients[0].send(
        b"<iq type='set' id='o' to='%b'><query xmlns='http://jabber.org/protocol/muc#owner'>"
        b"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>"
        b"http://jabber.org/protocol/muc#roomconfig</value></field>"
        b"<field var='muc#roomconfig_maxusers'><value>5000</value></field>"
        b"<field var='muc#roomconfig_persistentroom'><value>%d</value></field>"
        b"</x></query></iq>" % (ROOM, archives)
    )
    made.clock.advance(0)
    for number, client in enumerate(clients[1:], 1):
        enter(made, client, number)
    clients[0].raw()
    clients[0].send(said(1))
    made.clock.advance(1)
    assert b"</body>" in clients[0].raw(), "it is said to all"
    to_nowhere(clients[0])
    return made, clients


def enter(made: House, client: Client, number: int) -> None:
    """Have a client enter the room."""
    client.handler.dataReceived(
        b"<presence to='%b/nick%d'><x xmlns='http://jabber.org/protocol/muc'>"
        b"<history maxstanzas='0'/></x></presence>" % (ROOM, number)
    )
    made.clock.advance(0)


def said(number: int) -> bytes:
    """A message to the room."""
    return b"<message to='%b' type='groupchat' id='g%d'><body>%b</body></message>" % (
        ROOM,
        number,
        BODY,
    )


def message(*, archives: bool = False) -> Work:
    """A message in a room of 100."""
    made, clients = in_room(OCCUPANTS, archives=archives)
    feed, numbers = clients[0].handler.dataReceived, count()

    def run() -> float:
        spent_s = timed(lambda: feed(said(next(numbers))), 20)
        began = process_time()
        made.clock.advance(1)  # what is written in between belongs to it
        return spent_s + (process_time() - began) / 20

    return run


def archived() -> Work:
    """The same in a room that has an archive."""
    return message(archives=True)


def join() -> Work:
    """Somebody enters a room of 1,000: all see them, and they see all."""
    made, clients = in_room(MANY)
    newcomer = clients[-1]

    def run() -> float:
        newcomer.handler.dataReceived(
            b"<presence type='unavailable' to='%b/nick%d'/>" % (ROOM, MANY - 1)
        )
        made.clock.advance(1)
        return timed(lambda: enter(made, newcomer, MANY - 1), 1)

    return run


KINDS: dict[str, Callable[[], Work]] = {
    each.__name__: each for each in (item, oldest, told, plain, newest, message, archived, join)
}


# -- in turn --------------------------------------------------------------------------------------


class Checkout:
    """A process that measures what a checkout takes.

    Args:
        root: Of the checkout.
        kind: What is measured.
    """

    def __init__(self, root: Path, kind: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, "--serve", kind],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(root)},
            cwd=root,
            text=True,
        )

    def run(self) -> float:
        """One run."""
        pipe(self._process.stdin).write("\n")
        pipe(self._process.stdin).flush()
        return float(pipe(self._process.stdout).readline())

    def stop(self) -> None:
        """End it."""
        pipe(self._process.stdin).close()
        self._process.wait()


def pipe(end: IO[str] | None) -> IO[str]:
    """The end of a pipe that there is."""
    assert end is not None, "it was asked for"
    return end


def serve(kind: str) -> None:
    """Run whenever a line comes, and tell what that took."""
    work = KINDS[kind]()
    for _ in sys.stdin:
        print(work(), flush=True)


def rows(roots: list[Path], kinds: list[str], rounds: int) -> Iterator[list[str]]:
    """For each kind what it is, and the least of each checkout, in µs."""
    for kind in kinds:
        checkouts = [Checkout(root, kind) for root in roots]
        least_s = [inf] * len(roots)
        try:
            for number in range(rounds):
                places = range(len(roots))
                for place in places if number % 2 else reversed(places):
                    least_s[place] = min(least_s[place], checkouts[place].run())
        finally:
            for checkout in checkouts:
                checkout.stop()
        words = " ".join((KINDS[kind].__doc__ or "").split()).rstrip(".")
        ratio = [f"{least_s[0] / least_s[-1]:.3f}"] if len(roots) > 1 else []
        yield [f"`{kind}`: {words}", *(f"{each * 1e6:.1f}" for each in least_s), *ratio]


def main() -> int:
    """Print what each costs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--beside", type=Path, help="another checkout")
    parser.add_argument("--only", choices=list(KINDS), nargs="+", default=list(KINDS))
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="runs of each")
    parser.add_argument("--serve", choices=list(KINDS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve(options.serve)
        return 0
    roots = [HERE] if options.beside is None else [HERE, options.beside.resolve()]
    head = ["what", "µs", *(["beside", "ratio"] if options.beside is not None else [])]
    print(f"{machine()}\n")
    print(table(head, list(rows(roots, options.only, options.rounds))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
