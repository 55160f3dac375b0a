"""How dear a page of a large archive is, in SQLite: read, and made ready for its reader.

::

    python -m bench.pages --messages 1000000

An archive is filled behind the server's back, so that this takes seconds. Each kind of page is
asked for again and again; a page of one message tells what a query costs by itself.
"""

from argparse import ArgumentParser
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from shutil import rmtree
from sqlite3 import connect
from tempfile import mkdtemp
from time import process_time

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import react

from xmppd.host.clocks import Clocks, boot_clock, wall_clock
from xmppd.stanza import JID
from xmppd.stanza.result import Results
from xmppd.stanza.rsm import PageRequest
from xmppd.store.sql import Tables
from xmppd.store.store import make_store
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.query import ArchiveReader, Filters, Query
from xmppd_plugins.archive.requests import Given
from xmppd_plugins.archive.settings import ArchiveSettings
from xmppd_plugins.archive.tables import metadata, peer_of
from xmppd_plugins.archive.word_index import WordIndex

OWNER = JID.parse("juliet@montague.lit")
ASKER = JID.parse("juliet@montague.lit/balcony")
RARE = JID.parse("apothecary@montague.lit")
PEERS = 50
RARE_EVERY = 5_000
ROUNDS = 100
FIRST = 1_700_000_000_000_000
BATCH = 50_000


def message(sender: str, number: int) -> bytes:
    """A message as it is kept: some 390 bytes."""
    return (
        f"<message from='{sender}/orchard' to='{OWNER}' type='chat' id='{number:012}'><body>"
        "What man art thou that thus bescreen'd in night so stumblest on my counsel? By a name"
        " I know not how to tell thee who I am.</body>"
        f"<origin-id xmlns='urn:xmpp:sid:0' id='{number:012}'/>"
        "<request xmlns='urn:xmpp:receipts'/><markable xmlns='urn:xmpp:chat-markers:0'/></message>"
    ).encode()


def fill(path: Path, number: int, messages: int) -> None:
    """Put so many messages of :data:`PEERS` people, and of one who rarely says something, into the
    archive of this number.
    """
    peers = [f"peer{each}@montague.lit" for each in range(PEERS)]
    digests = {each: peer_of(each) for each in (*peers, RARE.bare)}
    database = connect(path)
    database.execute(
        "INSERT INTO archive VALUES (?, ?, ?, 0, ?, 0)", (number, b"o" * 32, OWNER.bare, messages)
    )
    choose = Random(1)
    for begin in range(0, messages, BATCH):
        stanzas, entries = [], []
        for each in range(begin, min(begin + BATCH, messages)):
            peer = RARE.bare if each % RARE_EVERY == 0 else choose.choice(peers)
            position = (FIRST + each * 1_000_003) << 10
            stanzas.append((position, 0, number, message(peer, each)))
            entries.append((number, position, digests[peer], 0))
        database.executemany("INSERT INTO archive_stanzas VALUES (?, ?, ?, ?)", stanzas)
        database.executemany("INSERT INTO archive_entries VALUES (?, ?, ?, ?)", entries)
        database.commit()
    database.close()


async def at_once() -> None:
    """The next turn is now."""


async def measure(what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Say what one call costs."""
    await work()
    began = process_time()
    for _ in range(ROUNDS):
        await work()
    print(f"| {what} | {(process_time() - began) / ROUNDS * 1000:.2f} |")


async def run(reactor: IReactorTime, directory: Path, messages: int) -> None:
    """Fill an archive, and ask."""
    path = directory / "xmppd.sqlite"
    store = make_store(f"sqlite:///{path}", reactor=reactor)
    await store.open()
    await store.tables.put(Tables(metadata), "archive")
    clocks = Clocks(boot_clock, wall_clock)
    archive = Archive(store.database, lambda: 0, clocks, reactor, ArchiveSettings())
    await archive.open()
    fill(path, archive.ids.number(OWNER.bare), messages)
    reader = ArchiveReader(archive, WordIndex(archive, at_once), at_once)
    middle = archive.id_of(OWNER.bare, (FIRST + messages // 2 * 1_000_003) << 10)
    nowhere = Filters()
    pages = {
        "the last 50": Query(nowhere, PageRequest(50, before="")),
        "50 behind an id": Query(nowhere, PageRequest(50, after=middle)),
        "50 before an id": Query(nowhere, PageRequest(50, before=middle)),
        "the last 50 with a common peer": Query(
            Filters(peer=JID.parse("peer7@montague.lit")), PageRequest(50, before="")
        ),
        "the last 50 with a rare peer": Query(Filters(peer=RARE), PageRequest(50, before="")),
        "50 behind a time": Query(
            Filters(since=FIRST + messages // 3 * 1_000_003), PageRequest(50)
        ),
        "the last 250": Query(nowhere, PageRequest(250, before="")),
        "only their number": Query(nowhere, PageRequest(0)),
        "the last one": Query(nowhere, PageRequest(1, before="")),
    }
    print(f"Pages of {messages} messages, with their results as bytes:\n")
    print("| page | CPU ms |\n|---|---|")
    for what, query in pages.items():

        async def work(query: Query = query) -> object:
            found = await reader.answer(OWNER.bare, query)
            given = Given(archive, OWNER, found)
            results = given.results(Results(OWNER, ASKER, "q"), is_flipped=False)
            return [each.wire() for each in results], given.fin()

        await measure(what, work)
    await archive.close()
    await store.close()


def main() -> None:
    """Measure in a directory that is removed."""
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000_000)
    messages = parser.parse_args().messages
    directory = Path(mkdtemp(prefix="xmppd-pages-"))

    def begin(reactor: IReactorTime) -> Deferred[None]:
        return Deferred.fromCoroutine(run(reactor, directory, messages))

    try:
        react(begin)
    finally:
        rmtree(directory)


if __name__ == "__main__":
    main()
