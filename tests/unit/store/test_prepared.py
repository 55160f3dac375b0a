"""Prepared statements do the same on each database."""

from twisted.internet.task import Clock

from tests.unit.store import databases
from tests.unit.store import prepared_contract as contract
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store


class MemoryTests(contract.PreparedContract):
    """In memory, as other tests have it."""

    def setUp(self) -> None:
        self.store = Store(MemoryDatabase(), Clock())


class SQLiteTests(databases.OnSQLite, contract.PreparedContract):
    """In a file, where all of them share a commit."""


class PostgreSQLTests(databases.OnPostgreSQL, contract.PreparedContract):
    """On a server."""
