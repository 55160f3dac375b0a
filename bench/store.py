"""What one change of the store costs: CPU of the process, the thread of the writer included.

    python -m bench.store                # SQLite, in a directory that is removed
    python -m bench.store --postgres     # the same, then a PostgreSQL of the bench's own

The changes are those that are made at the rate of messages, alone, ten and a hundred at once. What
PostgreSQL's own processes do is not counted, nor is the wait for the disk.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IReactorCore
from twisted.internet.task import react

from bench.compare import machine, number, table
from bench.postgres import PostgreSQL
from xmppd.store.held import HeldMessage
from xmppd.store.store import Store, make_store

ACCOUNTS = 50
FULL = 10_000
"""The messages that wait for the account whose offline messages are many."""

AT_ONCE = (1, 10, 100)
CHANGES = 600
"""Of each kind, for each number at once."""

NODE = "n1"
SENDER = "romeo@montague.lit"
STANZA = b"<message to='juliet@capulet.lit' type='chat' id='m1'><body>%b</body></message>" % (
    b"x" * 100
)
NO_LIMIT = 2**31


class Changes:
    """The frequent changes of a store.

    Args:
        store: Open, and empty.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._next = count()
        self._held: list[int] = []

    def account(self) -> str:
        """One after the other of some."""
        return f"u{next(self._next) % ACCOUNTS}@montague.lit"

    async def hold(self) -> None:
        """A message is held for a session."""
        message = HeldMessage(b"k" * 16, 1, self.account(), STANZA, 1.0)
        self._held += await self.store.sessions.hold_messages(NODE, [message], arrived=[])

    async def acknowledge(self) -> None:
        """A message that was held has arrived."""
        await self.store.sessions.hold_messages(NODE, [], arrived=[self._held.pop()])

    async def keep(self) -> None:
        """A message waits for an account that has few."""
        await self._keep(self.account())

    async def keep_for_full(self) -> None:
        """A message waits for an account that has many."""
        await self._keep("full@montague.lit")

    async def take(self) -> None:
        """An account's messages are taken, read, and deleted."""
        account, offline = self.account(), self.store.offline
        waiting = await offline.take_offline(account, NODE, limit=1)
        await offline.delete_offline(account, [message.id for message in waiting])

    async def _keep(self, account: str) -> None:
        await self.store.offline.store_offline(
            account, STANZA, sender=SENDER, stored=1.0, max_messages=NO_LIMIT, max_bytes=NO_LIMIT
        )


async def cost_us(change: Callable[[], Awaitable[None]], at_once: int, changes: int) -> list[float]:
    """What each change has cost, made so many at once."""
    costs = []
    for _ in range(max(1, changes // at_once)):
        began = time.process_time()
        await gatherResults([Deferred.fromCoroutine(_run(change)) for _ in range(at_once)])
        costs.append((time.process_time() - began) / at_once * 1e6)
    return costs


async def _run(change: Callable[[], Awaitable[None]]) -> None:
    await change()


async def rows(store: Store, changes: int, full: int) -> list[list[str]]:
    """What each kind of change costs, least and median."""
    made = Changes(store)
    for _ in range(0, full, 100):
        await cost_us(made.keep_for_full, 100, 100)
    kinds = {
        "held message": made.hold,
        "the same, acknowledged": made.acknowledge,
        "offline message": made.keep,
        f"offline message, {full:,} wait": made.keep_for_full,
        "taken, one by one": made.take,
    }
    found = []
    for kind, change in kinds.items():
        row = [kind]
        for at_once in AT_ONCE:
            costs = await cost_us(change, at_once, changes)
            row.append(f"{number(min(costs))} / **{number(statistics.median(costs))}**")
        found.append(row)
    return found


async def measure(reactor: IReactorCore, urls: dict[str, str]) -> None:
    """Print a table for each database."""
    for name, url in urls.items():
        store = make_store(url, reactor=reactor)  # type: ignore[arg-type]  # all of a reactor
        await store.open()
        try:
            found = await rows(store, CHANGES, FULL)
        finally:
            await store.close()
        print(f"### {name}: CPU, µs a change (least / **median**)\n")
        print(table(["change", *(f"{each} at once" for each in AT_ONCE)], found), end="\n\n")


def main() -> None:
    """Measure, and leave nothing behind."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--postgres", action="store_true", help="measure PostgreSQL, too")
    server = PostgreSQL() if parser.parse_args().postgres else None
    print(f"{machine()}\n")
    with TemporaryDirectory(prefix="xmppd-bench-") as directory:
        urls = {"SQLite": f"sqlite:///{Path(directory, 'bench.sqlite')}"}
        try:
            if server is not None:
                urls["PostgreSQL"] = server.start().make_database()
            react(measure, [urls])
        finally:
            if server is not None:
                server.stop()


if __name__ == "__main__":
    sys.exit(main())
