"""Archives are kept in the same way on each database."""

from twisted.internet.task import Clock

from tests.plugins.archive import store_contract as contract
from tests.unit.store import databases
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store
from xmppd.testing.nodes import SharedMemoryDatabase


class MemoryTests(contract.StoreContract):
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


class SQLiteTests(databases.OnSQLite, contract.StoreContract):
    """In a file, indexed late."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.StoreContract):
    """On a server."""
