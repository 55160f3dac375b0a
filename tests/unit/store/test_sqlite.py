"""SQLite: writes share a commit, and what was told is safe."""

import contextlib
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.unit.store.databases import sqlite_url
from xmppd.store import accounts, group_commit, items, last_presences, offline, sqlite, tries
from xmppd.store.accounts import NoSuchAccount
from xmppd.store.engine import CHECKPOINT_PAGES, WRITER_CACHE_KIB, parse_url
from xmppd.store.errors import QuotaExceeded, StoreError
from xmppd.store.many import owner_parameters
from xmppd.store.rosters import RosterItem
from xmppd.store.sqlite import SQLiteDatabase
from xmppd.store.store import make_store

STEPS = 10
"""Instructions of SQLite's machine between two looks of who counts them."""

ADD = "INSERT INTO last_presences VALUES (?, 1.0, ?)"


def adding(number: int, size: int = 1) -> Callable[[Connection], int]:
    """A change that adds a row of this size."""

    def change(connection: Connection) -> int:
        connection.exec_driver_sql(ADD, (bytes([number]), "x" * size))
        return number

    return change


class DatabaseCase(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.url = sqlite_url(self)
        self.database = SQLiteDatabase(parse_url(self.url), IReactorFromThreads(reactor))
        self.addCleanup(lambda: Deferred.fromCoroutine(self.database.close()))
        await self.database.open(upgrade=True)

    def write(self, change: Callable[[Connection], object]) -> Deferred[object]:
        """Begin a write."""
        return Deferred.fromCoroutine(self.database.write(change))

    async def rows(self) -> int:
        """How many rows were added."""
        query = last_presences._last_presences_of(500)
        owners = [bytes([number]) for number in range(250)]
        return len(await self.database.read(query, owner_parameters(owners)))

    async def set_max_pages(self, pages: int) -> None:
        """Make the disk that large."""

        def change(connection: Connection) -> None:
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await self.database.write(change)


class CostTests(DatabaseCase):
    """What a change costs, in instructions of SQLite's machine."""

    async def steps(self, change: Callable[[Connection], object]) -> int:
        """How many a change takes."""
        counted = 0

        def count() -> None:
            nonlocal counted
            counted += STEPS

        def counting(connection: Connection) -> None:
            raw = connection.connection.driver_connection
            assert raw is not None
            raw.set_progress_handler(count, STEPS)
            try:
                change(connection)
            finally:
                raw.set_progress_handler(None, 0)

        await self.database.write(counting)
        return counted

    async def test_storing(self) -> None:
        """To keep a message, or refuse it, is the same work whether few wait or thousands."""

        def store(connection: Connection, number: int, most: int = 10_000) -> None:
            with contextlib.suppress(QuotaExceeded):
                offline.store(
                    connection, "romeo@montague.lit", b"x" * 100, f"{number}@x.lit", "x.lit",
                    1.0, most, 10_000_000,
                )  # fmt: skip

        def fill(connection: Connection) -> None:
            for number in range(4_000):
                store(connection, number % 50)

        await self.database.write(lambda connection: store(connection, 1))
        few = await self.steps(lambda connection: store(connection, 1))
        await self.database.write(fill)
        many = await self.steps(lambda connection: store(connection, 1))
        refused = await self.steps(lambda connection: store(connection, 1, most=100))
        self.assertLess(many, 1.3 * few)
        self.assertLess(refused, few)

    async def test_items(self) -> None:
        """The same is true of items."""

        def put(connection: Connection, number: int) -> None:
            items._set(
                connection,
                "romeo@montague.lit",
                items.Item("n", str(number), b"v"),
                10_000,
                1_000_000,
            )

        def fill(connection: Connection) -> None:
            for number in range(2_000):
                put(connection, number)

        few = await self.steps(lambda connection: put(connection, -1))
        await self.database.write(fill)
        self.assertLess(await self.steps(lambda connection: put(connection, -2)), 1.3 * few)


class GroupCommitTests(DatabaseCase):
    async def test_shared(self) -> None:
        """Fifty writes at once take a few commits, and each gets its own answer."""
        before = self.database.commits
        outcomes = await gatherResults([self.write(adding(number)) for number in range(50)])
        self.assertEqual(outcomes, list(range(50)))
        self.assertLess(self.database.commits - before, 5)
        self.assertEqual(await self.rows(), 50)

    async def test_refusal(self) -> None:
        """A write that is refused halfway leaves nothing, and harms none that share its commit."""

        def refuse(connection: Connection) -> None:
            connection.exec_driver_sql(ADD, (b"half", "x"))
            raise NoSuchAccount

        first, refused, last = self.write(adding(1)), self.write(refuse), self.write(adding(2))
        await self.assertFailure(refused, NoSuchAccount)
        await gatherResults([first, last])
        self.assertEqual(await self.rows(), 2)

    async def test_database_error(self) -> None:
        """A write the database refuses fails with one sentence, without the values in it."""
        await self.write(adding(1, 7))
        twice, other = self.write(adding(1, 7)), self.write(adding(2))
        error = await self.assertFailure(twice, StoreError)
        self.assertIn("UNIQUE constraint failed", str(error))
        self.assertNotIn("xxxxxxx", str(error))
        await other
        self.assertEqual(await self.rows(), 2)

    async def test_bug(self) -> None:
        """A mistake of ours in one write is the trouble of that one alone."""

        def stumble(connection: Connection) -> None:
            connection.exec_driver_sql(ADD, (b"half", "x"))
            raise ZeroDivisionError

        first, stumbled, last = self.write(adding(1)), self.write(stumble), self.write(adding(2))
        await self.assertFailure(stumbled, ZeroDivisionError)
        await gatherResults([first, last])
        self.assertEqual(await self.rows(), 2)

    async def test_disk_full(self) -> None:
        """When the disk is full whoever writes is told; once there is room again, writes go on."""
        await self.set_max_pages(1)
        writing = [self.write(adding(number, 100_000)) for number in range(5)]
        await gatherResults([self.assertFailure(write, StoreError) for write in writing])
        self.assertEqual(await self.rows(), 0)
        await self.set_max_pages(100_000)
        await self.write(adding(1))
        self.assertEqual(await self.rows(), 1)

    async def test_queue_is_bounded(self) -> None:
        """With too many writes in the queue the next one is refused at once."""
        self.patch(self.database._writer, "_max_queued_writes", 3)
        writing = [self.write(adding(number)) for number in range(4)]
        await self.assertFailure(self.write(adding(4)), StoreError)
        await gatherResults(writing)
        await self.write(adding(4))

    async def test_close_writes_the_queue(self) -> None:
        """Closing waits for what is queued; then nothing more is taken."""
        writing = [self.write(adding(number)) for number in range(20)]
        await self.database.close()
        self.assertEqual(len(await gatherResults(writing)), 20)
        await self.assertFailure(self.write(adding(21)), StoreError)

    async def test_many_commits(self) -> None:
        """A commit takes a bounded number of writes."""
        self.patch(group_commit, "MAX_WRITES_PER_COMMIT", 10)
        before = self.database.commits
        await gatherResults([self.write(adding(number)) for number in range(50)])
        self.assertGreaterEqual(self.database.commits - before, 5)


class StalledTests(DatabaseCase):
    """Somebody else has the lock to write, and keeps it."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        await super().setUp()
        self.other = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
        self.addCleanup(self.other.close)
        self.other.execute("BEGIN IMMEDIATE")

    async def test_late(self) -> None:
        """Reads go on; a write is given up in time, and what was given up is never made."""
        self.patch(group_commit, "GRACE_S", 0.05)
        under_way = self.write(adding(1))
        given_up = Deferred.fromCoroutine(self.database.write(adding(2), 0.05))
        await self.assertFailure(given_up, StoreError)
        self.assertEqual(await self.rows(), 0)
        self.other.execute("ROLLBACK")
        await under_way
        await self.write(adding(3))
        self.assertEqual(await self.rows(), 2)

    async def test_told(self) -> None:
        """Who waits for the lock in vain is told what it waited for."""
        error = await self.assertFailure(self.write(adding(1)), StoreError)
        self.assertIn("database is locked", str(error))


class DatabaseFileTests(DatabaseCase):
    async def test_only_ours_to_read(self) -> None:
        """Nobody else on the machine may read the accounts' keys."""
        await self.write(adding(1))
        path = Path(parse_url(self.url).database or "")
        for file in path.parent.glob(f"{path.name}*"):
            self.assertEqual(file.stat().st_mode & 0o077, 0, file)

    async def test_reader_cannot_write(self) -> None:
        """The connection that reads at once is not able to change anything."""
        reader = self.database._reader
        assert reader
        with self.assertRaisesRegex(Exception, "readonly"):
            reader.execute(ADD, (b"1", "x"))


class LogTests(DatabaseCase):
    """The log of changes beside the file (ST-13)."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.patch(sqlite, "LOOK_EVERY_S", 0.01)
        await super().setUp()

    async def pragma(self, name: str) -> int:
        """A setting of the writer."""

        def look(connection: Connection) -> int:
            found: int = connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            return found

        return await self.database.write(look)

    async def test_settings(self) -> None:
        """The writer keeps much of the file in memory, and moves the log seldom."""
        self.assertEqual(await self.pragma("cache_size"), -WRITER_CACHE_KIB)
        self.assertEqual(await self.pragma("wal_autocheckpoint"), CHECKPOINT_PAGES)
        self.assertEqual(await self.pragma("synchronous"), 2)  # FULL

    async def test_moved_when_idle(self) -> None:
        """When nothing is written the log is moved into the file."""
        path = Path(parse_url(self.url).database or "")
        before = path.stat().st_size
        await self.write(adding(1, 100_000))
        while path.stat().st_size == before:
            await deferLater(reactor, 0.01, lambda: None)
        self.assertEqual(await self.rows(), 1)


class MissingFileTests(DatabaseCase):
    """What becomes of the file is noticed (ST-5)."""

    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.patch(sqlite, "LOOK_EVERY_S", 0.01)
        await super().setUp()
        self.path = Path(self.url.removeprefix("sqlite:///"))
        await self.write(adding(1))

    async def noticed(self) -> None:
        """Wait until somebody has looked."""
        await deferLater(reactor, 0.05, lambda: None)

    async def assert_unusable(self, why: str) -> None:
        """Nothing is written, nor read a moment later."""
        with capturedLogs() as lines:
            error = await self.assertFailure(self.write(adding(2)), StoreError)
            await self.noticed()
        self.assertIn(why, str(error))
        self.assertEqual(len([line for line in lines if why in str(line.get("trouble"))]), 1)
        error = await self.assertFailure(Deferred.fromCoroutine(self.rows()), StoreError)
        self.assertIn(why, str(error))

    async def test_deleted(self) -> None:
        """Whichever of its files is deleted; when it is back where it was, all goes on."""
        for suffix in ("", "-wal", "-shm"):
            with self.subTest(suffix):
                path = Path(f"{self.path}{suffix}")
                away = path.rename(f"{path}.away")
                await self.assert_unusable(f"{path} was deleted while the server was running")
                away.rename(path)
                await self.noticed()
                self.assertEqual(await self.rows(), 1)

    async def test_replaced(self) -> None:
        """Another file of the same name is another database, whatever is in it."""
        copy = Path(f"{self.path}.copy")
        copy.write_bytes(self.path.read_bytes())
        copy.replace(self.path)
        await self.assert_unusable(f"{self.path} was replaced while the server was running")

    async def test_backup(self) -> None:
        """A backup is made without anybody noticing."""
        backup = Path(self.mktemp())
        with closing(sqlite3.connect(self.path)) as source, closing(sqlite3.connect(backup)) as to:
            source.backup(to)
            self.assertEqual(to.execute("SELECT count(*) FROM last_presences").fetchone(), (1,))
        await self.noticed()
        await self.write(adding(2))
        self.assertEqual(await self.rows(), 2)

    def test_nodes(self) -> None:
        """A file cannot be shared by nodes, and the refusal says what can, and how to get there."""
        with self.assertRaisesRegex(StoreError, "storage.url is an SQLite file: .*xmppctl db copy"):
            make_store(f"sqlite:///{self.path}", reactor=reactor, shared=True)

    async def test_another_server(self) -> None:
        """A second server is refused, by whichever name it comes, until the first has left."""
        self.patch(tries, "PATIENCE_S", 0.0)
        link = Path(self.mktemp())
        link.symlink_to(self.path.resolve())
        second = SQLiteDatabase(parse_url(f"sqlite:///{link}"), IReactorFromThreads(reactor))
        opening = Deferred.fromCoroutine(second.open(upgrade=True))
        error = await self.assertFailure(opening, StoreError)
        self.assertIn("in use by another xmppd", str(error))
        await self.write(adding(2))
        await self.database.close()
        await second.open(upgrade=True)
        await second.close()

    async def test_not_made(self) -> None:
        """Where there must be a database, none is made, nor one that is empty filled (ST-6)."""
        for empty in (False, True):
            with self.subTest(empty=empty):
                path = Path(self.mktemp())
                if empty:
                    path.touch()
                database = SQLiteDatabase(
                    parse_url(f"sqlite:///{path}"), IReactorFromThreads(reactor)
                )
                opening = Deferred.fromCoroutine(database.open(upgrade=True, may_create=False))
                error = await self.assertFailure(opening, StoreError)
                self.assertIn("is empty" if empty else "is not there", str(error))
                self.assertIn("xmppctl db upgrade", str(error))
                await database.close()
                self.assertEqual(path.exists(), empty)


class Writer(ProcessProtocol):
    """A process that writes, and says after each write that it is safe."""

    def __init__(self, enough: int) -> None:
        self.ended: Deferred[None] = Deferred()
        self.told = b""
        self.errors = b""
        self._enough = enough

    def outReceived(self, data: bytes) -> None:
        self.told += data
        if self.told.count(b"\n") >= self._enough and self.transport and self.transport.pid:
            os.kill(self.transport.pid, signal.SIGKILL)

    def errReceived(self, data: bytes) -> None:
        self.errors += data

    def processEnded(self, reason: Failure) -> None:
        self.ended.errback(reason)


WRITER = """
import sys
from twisted.internet import task
from xmppd.store.rosters import RosterItem
from xmppd.store.store import make_store

async def main(reactor):
    store = make_store(sys.argv[1], reactor=reactor)
    await store.open()
    for number in range(100_000):
        await store.rosters.save_roster_items("romeo@x", [RosterItem(f"c{number}@x")])
        print(f"c{number}@x", flush=True)

task.react(main)
"""


class KillTests(TestCase):
    async def test_what_was_told_is_safe(self) -> None:
        """A server killed at any moment has lost nothing that it said it had kept."""
        url = sqlite_url(self)
        writer = Writer(20)
        reactor.spawnProcess(
            writer,
            sys.executable,
            [sys.executable, "-c", WRITER, f"sqlite:///{Path(url[10:]).resolve()}"],
            {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        await self.assertFailure(writer.ended, ProcessTerminated)
        store = make_store(url, reactor=reactor)
        await store.open()
        kept = {item.jid for item in (await store.rosters.roster("romeo@x")).items}
        await store.close()
        told = writer.told.decode().split()
        self.assertGreaterEqual(len(told), 20, writer.errors)
        self.assertEqual(set(told) - kept, set())


class CredentialsTests(TestCase):
    async def test_bounded(self) -> None:
        """However many names somebody guesses, no more than so many answers are kept."""
        self.patch(accounts, "MAX_CACHED_ACCOUNTS", 5)
        store = make_store(sqlite_url(self), reactor=reactor)
        await store.open()
        await store.accounts.create_account("a@x", ())
        for number in range(20):
            self.assertFalse(await store.accounts.exists(f"{number}@x"))
        self.assertTrue(await store.accounts.exists("a@x"))
        self.assertEqual(len(store.accounts._credentials), 5)
        await store.close()

    async def test_closed(self) -> None:
        """A store that is closed says so, to reader and writer, and may be closed twice."""
        store = make_store(sqlite_url(self), reactor=reactor)
        await store.open()
        await store.close()
        await store.close()
        for call in (
            store.rosters.roster("a@x"),
            store.rosters.save_roster_items("a@x", [RosterItem("b@x")]),
        ):
            await self.assertFailure(Deferred.fromCoroutine(call), StoreError)
