"""The tables of nodes do the same on each database."""

from twisted.internet.task import Clock

from tests.plugins.pubsub import store_contract as contract
from tests.unit.store import databases
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store


class MemoryTests(contract.StoreContract):
    """In memory, as other tests have it."""

    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.store = Store(self.database, Clock())

    async def another_store(self) -> None:
        self.store = Store(self.database, Clock())
        await self.store.open()


class SQLiteTests(databases.OnSQLite, contract.StoreContract):
    """In a file."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.StoreContract):
    """On a server."""
