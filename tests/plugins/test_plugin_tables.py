"""The tables of plugins, on each database."""

from tests.plugins.table_contract import TableContract
from tests.unit.store.databases import OnPostgreSQL, OnSQLite


class SQLiteTests(TableContract, OnSQLite):
    """In a file."""


class PostgreSQLTests(TableContract, OnPostgreSQL):
    """On PostgreSQL."""


# The contract itself has no database, and is no test.
del TableContract

__all__ = ["PostgreSQLTests", "SQLiteTests"]
