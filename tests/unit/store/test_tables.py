"""Tables of plugins are made, changed and removed in the same way on each database."""

from twisted.internet.task import Clock

from tests.unit.store import databases
from tests.unit.store import tables_contract as contract
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store


class MemoryTests(contract.TablesContract):
    """In memory, as tests of plugins have it."""

    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.store = Store(self.database, Clock())

    async def another_store(self) -> None:
        self.store = Store(self.database, Clock())
        await self.store.open()


class SQLiteTests(databases.OnSQLite, contract.TablesContract):
    """In a file."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.TablesContract):
    """On a server."""
