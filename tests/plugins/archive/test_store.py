"""Archives are kept in the same way on each database."""

from functools import partial

from sqlalchemy.dialects import sqlite
from twisted.internet.task import Clock

from tests.plugins.archive import query_contract
from tests.plugins.archive import store_contract as contract
from tests.unit.store import databases
from xmppd.store.memory import MemoryDatabase
from xmppd.store.sql import Connection, Select
from xmppd.store.store import Store
from xmppd.testing.nodes import SharedMemoryDatabase
from xmppd_plugins.archive.tables import (
    ASCENDING,
    ASCENDING_OF_PEER,
    COUNT,
    COUNT_OF_PEER,
    DESCENDING,
    DESCENDING_OF_PEER,
)


class MemoryTests(contract.StoreContract, query_contract.QueryContract):
    """In memory, as other tests have it."""

    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.store = Store(self.database, Clock())

    async def another_store(self) -> None:
        self.store = Store(self.database, Clock())
        await self.store.open()


class SharedMemoryTests(MemoryTests):
    """In memory, where others read what is written: entries are written at once."""

    def setUp(self) -> None:
        self.database = SharedMemoryDatabase()
        self.store = Store(self.database, Clock())


class SQLiteTests(databases.OnSQLite, contract.StoreContract, query_contract.QueryContract):
    """In a file, indexed late."""

    async def test_plans(self) -> None:
        """However long an archive is, SQLite goes by an index, also for a peer who is rare."""
        await self.opened()
        dialect = sqlite.dialect(paramstyle="named")

        def plan(connection: Connection, query: Select[*tuple[object, ...]]) -> str:
            words = {"archive": 1, "after": 0, "before": 9, "peer": b"x", "limit": 5}
            found = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {query.compile(dialect=dialect)}", {**words, "param_1": 5}
            )
            return " ".join(str(row[3]) for row in found)

        for query in (ASCENDING_OF_PEER, DESCENDING_OF_PEER, COUNT_OF_PEER):
            found = await self.store.database.write(partial(plan, query=query))
            self.assertIn("(archive=? AND peer=? AND position>? AND position<?)", found)
        for query in (ASCENDING, DESCENDING, COUNT):
            found = await self.store.database.write(partial(plan, query=query))
            self.assertIn("(archive=? AND position>? AND position<?)", found)


class PostgreSQLTests(databases.OnPostgreSQL, contract.StoreContract, query_contract.QueryContract):
    """On a server."""
