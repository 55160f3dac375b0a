"""The stores in databases keep the contract."""

from tests.unit.store import contract, databases


class SQLiteStoreTests(databases.OnSQLite, contract.Contract):
    """In a file."""


class PostgreSQLStoreTests(databases.OnPostgreSQL, contract.Contract):
    """On a server."""
