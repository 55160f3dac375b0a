"""The stores in databases keep the contract."""

from tests.unit.store import contract, databases, nodes_contract


class SQLiteStoreTests(databases.OnSQLite, contract.Contract):
    """In a file."""


class PostgreSQLStoreTests(databases.OnPostgreSQL, contract.Contract):
    """On a server."""


class SQLiteNodesTests(databases.OnSQLite, nodes_contract.NodesContract):
    """SQLite, which may go from a service of several nodes to a single one."""


class PostgreSQLNodesTests(databases.OnPostgreSQL, nodes_contract.NodesContract):
    """PostgreSQL."""
