"""Belongings: rows of all tables that go with their account."""

from collections.abc import Mapping
from functools import lru_cache

from sqlalchemy import Connection, Delete, Select, Table, delete, select

from xmppd.store.columns import OWNER, STAYS, digest, metadata
from xmppd.store.database import Database

MAX_TABLES = 1_000
"""For so many the statements are kept."""


class Belongings:
    """The tables whose rows belong to accounts: those that have a column ``owner``."""

    def __init__(self) -> None:
        self._tables = {
            table.name: table
            for table in metadata.tables.values()
            if "owner" in table.c and not table.info.get(STAYS)
        }

    def add(self, table: Table) -> None:
        """Add a table whose rows go with their accounts."""
        self._tables[table.name] = table

    def remove(self, name: str) -> None:
        """Remove a table that may not exist any more."""
        self._tables.pop(name, None)

    def forget(self, connection: Connection, owner: bytes) -> None:
        """Delete all rows of an owner."""
        for table in self._tables.values():
            connection.execute(_deleting(table), {"owner": owner})

    async def rows(
        self, database: Database, account: str
    ) -> list[tuple[str, Mapping[str, object]]]:
        """All rows of an account: the name of a table, and a row by column."""
        owner = {"owner": digest(account)}
        return [
            (table.name, dict(zip(table.c.keys(), row, strict=True)))
            for table in list(self._tables.values())
            for row in await database.read(_reading(table), owner)
        ]


@lru_cache(maxsize=MAX_TABLES)
def _deleting(table: Table) -> Delete:
    return delete(table).where(table.c.owner == OWNER)


@lru_cache(maxsize=MAX_TABLES)
def _reading(table: Table) -> Select[*tuple[object, ...]]:
    return select(*table.c).where(table.c.owner == OWNER)


__all__ = ["Belongings"]
