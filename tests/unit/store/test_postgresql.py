"""PostgreSQL: no wait without end, and a connection that is lost is made again."""

from sqlalchemy import Connection
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads

from tests.unit.store import databases
from xmppd.store.base import RosterItem, StoreError
from xmppd.store.engine import LOCK_TIMEOUT_S, STATEMENT_TIMEOUT_S, parse_url
from xmppd.store.postgresql import PostgreSQLDatabase


def show(connection: Connection) -> list[str]:
    """How long the server lets us wait."""
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    return [connection.exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]


class PostgreSQLTests(databases.OnPostgreSQL):
    async def test_timeouts(self) -> None:
        """The server ends what takes too long."""
        database = PostgreSQLDatabase(parse_url(self.url), IReactorFromThreads(reactor), 1)
        shown = await database.write(show)
        await database.close()
        self.assertEqual(shown, [f"{LOCK_TIMEOUT_S}s", f"{STATEMENT_TIMEOUT_S}s", "1min"])

    async def test_reconnect(self) -> None:
        """After the server has dropped all connections reads and writes go on."""
        await self.store.save_roster_items("a@x", [RosterItem("b@x")])
        databases.execute(
            self.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        self.assertEqual((await self.store.roster("a@x")).version, 1)
        self.assertEqual(await self.store.save_roster_items("a@x", [RosterItem("c@x")]), 2)

    async def test_failure(self) -> None:
        """A write that fails is told in one sentence, and the next one goes well."""
        databases.execute(self.url, "ALTER TABLE roster_items RENAME TO hidden")
        saving = Deferred.fromCoroutine(
            self.store.save_roster_items("a@x", [RosterItem("b@x", "s3cret")])
        )
        error = await self.assertFailure(saving, StoreError)
        self.assertIn("does not exist", str(error))
        self.assertNotIn("s3cret", str(error))
        databases.execute(self.url, "ALTER TABLE hidden RENAME TO roster_items")
        self.assertEqual(await self.store.save_roster_items("a@x", [RosterItem("c@x")]), 1)
