"""The table of who follows which room, on each database."""

from twisted.internet.task import Clock

from tests.plugins.room_unread import follower_contract as contract
from tests.unit.store import databases
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store


class MemoryTests(contract.FollowerTableContract):
    """In memory, as other tests have it."""

    def setUp(self) -> None:
        self.database = MemoryDatabase()
        self.store = Store(self.database, Clock())

    async def another_store(self) -> None:
        self.store = Store(self.database, Clock())
        await self.store.open()


class SQLiteTests(databases.OnSQLite, contract.FollowerTableContract):
    """In a file."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.FollowerTableContract):
    """On a server."""
