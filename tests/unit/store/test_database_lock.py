"""One server at a time works on a PostgreSQL database, or the nodes of one service (ST-4)."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import deferLater
from twisted.logger import capturedLogs
from twisted.trial.unittest import TestCase

from tests.unit.store.databases import (
    administer,
    drop_postgresql,
    execute,
    make_postgresql,
)
from xmppd.store import database_lock, tries
from xmppd.store.engine import parse_url
from xmppd.store.errors import StoreError
from xmppd.store.postgresql import PostgreSQLDatabase
from xmppd.store.store import make_store

END_OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
LOOK_EVERY_S = 0.05


class LockTests(TestCase):
    async def setUp(self) -> None:  # type: ignore[override]  # trial awaits it
        self.patch(tries, "PATIENCE_S", 0.0)
        self.patch(database_lock, "LOOK_EVERY_S", LOOK_EVERY_S)
        self.url = make_postgresql()
        self.addCleanup(drop_postgresql, self.url)
        self.why: list[str] = []
        self.database = self.made()
        await self.database.open(upgrade=True)

    def made(self, *, shared: bool = False) -> PostgreSQLDatabase:
        """A server's end of the database, or a node's."""
        database = PostgreSQLDatabase(
            parse_url(self.url), IReactorFromThreads(reactor), 2, self.why.append, shared=shared
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(database.close()))
        return database

    def wait_for_lock(self) -> None:
        """Be patient: PostgreSQL lifts the lock a moment after its connection has ended."""
        self.patch(tries, "PATIENCE_S", 5.0)

    async def write(self) -> None:
        """Have something to do with the database."""
        await self.database.write(lambda connection: connection.exec_driver_sql("SELECT 1"))

    async def until(self, condition: str) -> None:
        """Wait until somebody has looked, and found this trouble, or none."""
        for _ in range(200):
            trouble = self.database._lock.trouble
            if condition in trouble if trouble and condition else trouble == (condition or None):
                return
            await deferLater(reactor, LOOK_EVERY_S, lambda: None)
        self.fail(f"it is {self.database._lock.trouble}")

    def has_connection(self) -> bool:
        """Whether the lock is held by a connection that it knows of."""
        return self.database._lock._connection is not None

    async def test_second(self) -> None:
        """A second server is refused, the first one goes on, and when it has left others may."""
        second = self.made()
        opening = Deferred.fromCoroutine(second.open(upgrade=True))
        error = await self.assertFailure(opening, StoreError)
        self.assertRegex(str(error), "another xmppd or xmppctl .process [0-9]+ of PostgreSQL")
        await self.write()
        await self.database.close()
        self.wait_for_lock()
        await second.open(upgrade=True)

    async def refused(self, database: PostgreSQLDatabase) -> str:
        """Why a server may not use the database."""
        with self.assertRaises(StoreError) as refused:
            await database.open(upgrade=True)
        return str(refused.exception)

    async def test_nodes(self) -> None:
        """The nodes of a service use it together; a server without nodes, and one of them, refuse
        each other, and are told what to change.
        """
        self.assertRegex(
            await self.refused(self.made(shared=True)),
            r"in use by an xmppd without \[cluster\], or xmppctl .process [0-9]+ .*stop that one",
        )
        await self.database.close()
        self.wait_for_lock()
        first, second = self.made(shared=True), self.made(shared=True)
        await first.open(upgrade=True)
        await second.open(upgrade=True)
        self.patch(tries, "PATIENCE_S", 0.0)
        alone = self.made()
        self.assertRegex(
            await self.refused(alone),
            r"in use by the nodes of a \[cluster\] .*: use the same \[cluster\] here, stop",
        )
        await first.close()
        self.assertIn("the nodes of a [cluster]", await self.refused(alone))
        await second.close()
        self.wait_for_lock()
        await alone.open(upgrade=True)

    async def test_lost_by_a_node(self) -> None:
        """A node whose connection is lost takes the lock again, whatever other nodes have it."""
        await self.database.close()
        self.wait_for_lock()
        self.database, other = self.made(shared=True), self.made(shared=True)
        await self.database.open(upgrade=True)
        await other.open(upgrade=True)
        lost = self.database._lock._connection
        execute(self.url, END_OTHERS)
        while self.database._lock._connection in (lost, None) or self.database._lock.trouble:
            await deferLater(reactor, LOOK_EVERY_S, lambda: None)
        await self.write()
        self.assertEqual(self.why, [])

    async def test_taken_over_by_nodes(self) -> None:
        """If nodes were quicker, a server that shares it with nobody must not touch it any more."""
        lock = self.database._lock
        while lock._look is None:
            await deferLater(reactor, LOOK_EVERY_S / 5, lambda: None)
        lock._look.cancel()  # it is just not looking
        execute(self.url, END_OTHERS)
        self.wait_for_lock()
        await self.made(shared=True).open(upgrade=True)
        lock._begin_to_look()
        await self.until("in use by the nodes of a [cluster]")
        self.assertEqual(len(self.why), 1)

    async def test_restart_waits(self) -> None:
        """A server that starts waits a moment for one that is just about to stop."""
        self.wait_for_lock()
        store = make_store(self.url, reactor=reactor)
        opening = Deferred.fromCoroutine(store.open())
        await deferLater(reactor, LOOK_EVERY_S, lambda: None)
        self.assertNoResult(opening)
        await self.database.close()
        await opening
        await store.close()

    async def test_lost(self) -> None:
        """When its connection is lost the lock is taken again."""
        with capturedLogs() as lines:
            execute(self.url, END_OTHERS)
            for _ in range(100):
                if any("is held again" in str(line["log_format"]) for line in lines):
                    break
                await deferLater(reactor, LOOK_EVERY_S, lambda: None)
            else:
                self.fail("nobody noticed")
        await self.write()
        opening = Deferred.fromCoroutine(self.made().open(upgrade=True))
        await self.assertFailure(opening, StoreError)
        self.assertEqual(self.why, [])

    async def test_own_ghost(self) -> None:
        """If what has the lock is our own connection of before, that one is ended."""
        lock = self.database._lock
        while lock._look is None:  # it is just looking
            await deferLater(reactor, LOOK_EVERY_S / 5, lambda: None)
        ghost, lock._connection = lock._connection, None
        assert ghost is not None
        lock._engine = lock._engine.execution_options(isolation_level="AUTOCOMMIT")
        lock._engine.pool.dispose()
        lock._engine.pool._max_overflow = 1  # type: ignore[attr-defined]  # for the ghost
        while not self.has_connection():
            await deferLater(reactor, LOOK_EVERY_S, lambda: None)
        await self.until("")
        await self.write()
        ghost.invalidate()

    async def test_taken_over(self) -> None:
        """If another server was quicker, this one must not touch the database any more."""
        lock = self.database._lock
        while lock._look is None:
            await deferLater(reactor, LOOK_EVERY_S / 5, lambda: None)
        lock._look.cancel()  # it is just not looking
        execute(self.url, END_OTHERS)
        second = self.made()
        self.wait_for_lock()
        await second.open(upgrade=True)
        lock._begin_to_look()
        await self.until("in use by another xmppd")
        self.assertEqual(len(self.why), 1)
        await self.assertFailure(Deferred.fromCoroutine(self.write()), StoreError)

    async def test_replaced(self) -> None:
        """Another database of the same name is not written to."""
        drop_postgresql(self.url)
        await self.until("does not exist")
        await self.assertFailure(Deferred.fromCoroutine(self.write()), StoreError)
        administer(f"CREATE DATABASE {parse_url(self.url).database}")
        await self.until("was replaced while the server was running")
        await self.assertFailure(Deferred.fromCoroutine(self.write()), StoreError)

    async def test_not_made(self) -> None:
        """Where there must be tables, none are made (ST-6)."""
        url = make_postgresql()
        self.addCleanup(drop_postgresql, url)
        store = make_store(url, reactor=reactor)
        error = await self.assertFailure(
            Deferred.fromCoroutine(store.open(may_create=False)), StoreError
        )
        self.assertIn("is empty", str(error))
        self.assertIn("xmppctl db upgrade", str(error))
        await store.close()
