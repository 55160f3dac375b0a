"""Appending rows does the same on each database."""

from twisted.internet.task import Clock

from tests.unit.store import append_contract as contract
from tests.unit.store import databases
from tests.unit.store.append_contract import line, lines
from xmppd.store.database import NewRows
from xmppd.store.errors import StoreError
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store


class MemoryTests(contract.AppendContract):
    """In memory, as other tests have it."""

    def setUp(self) -> None:
        self.store = Store(MemoryDatabase(), Clock())


class SQLiteTests(databases.OnSQLite, contract.AppendContract):
    """In a file."""

    async def test_closed(self) -> None:
        """On a closed store there is a sentence."""
        await self.store.close()
        with self.assertRaisesRegex(StoreError, "closed"):
            await self.store.database.append(NewRows(lines, [line(1)]))


class PostgreSQLTests(databases.OnPostgreSQL, contract.AppendContract):
    """On a server."""

    async def test_closed(self) -> None:
        """On a closed store there is a sentence."""
        await self.store.close()
        with self.assertRaises(StoreError):
            await self.store.database.append(NewRows(lines, [line(1)]))
