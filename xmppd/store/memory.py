"""MemoryDatabase: a database in memory, for tests and for what leaves no trace, with the same
statements and without waiting.
"""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import inf
from typing import cast

from sqlalchemy import Connection, Engine, Select, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import StaticPool
from sqlalchemy.util import LRUCache
from typing_extensions import override

from xmppd.store.database import Columns, Database, NewRows, Parameters, T, no_check
from xmppd.store.engine import (
    begin_immediate,
    database_errors,
    store_error,
    text_or_bytes,
    transaction,
)
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.migrate import prepare
from xmppd.store.sqlite import append_all, compiled

_URL = "sqlite+pysqlite://"

# How SQLAlchemy writes a statement, once for all that there are.
_statements: LRUCache[object, object] = LRUCache(500)


class MemoryDatabase(Database):
    """A :class:`~xmppd.store.database.Database` that ends with the last reference to it.

    It begins with all tables and nothing in them. When it was closed it can be opened again, with
    all its rows: so a test starts another server on the same database.

    Attributes:
        engine: Leads to it, for a test that changes something directly.
    """

    alone = True
    shared = False

    def __init__(self) -> None:
        self._connection = _connect()
        self._connection.deserialize(_empty())
        self.engine = _engine(self._connection)

    @override
    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        """Do nothing, since it is there."""

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        text, names, fixed = compiled(query)
        by_name = {**fixed, **parameters}
        try:
            return self._connection.execute(text, [by_name[name] for name in names]).fetchall()
        except sqlite3.Error as error:
            raise store_error(self.engine.url, error) from error

    @override
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        with database_errors(self.engine.url), self.engine.begin() as connection:
            return change(connection)

    @override
    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        check()
        with database_errors(self.engine.url), transaction(self._connection):
            append_all(self._connection, parts)

    @override
    def free_bytes(self) -> float:
        return inf

    @override
    async def close(self) -> None:
        """Do nothing, since it stays there."""


def _connect() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    connection.text_factory = text_or_bytes
    return connection


def _engine(connection: sqlite3.Connection) -> Engine:
    """An engine for a connection; the dialect is the same one for all."""
    template = _template()
    options = {"compiled_cache": _statements}
    pool = StaticPool(lambda _entry=None: cast(DBAPIConnection, connection))
    engine = Engine(pool, template.dialect, template.url, execution_options=options)
    event.listen(engine, "begin", begin_immediate)
    return engine


@lru_cache(maxsize=1)
def _template() -> Engine:
    """An engine with a database that has all tables, made as any other."""
    connection = _connect()
    engine = create_engine(_URL, creator=lambda: connection, poolclass=StaticPool)
    event.listen(engine, "begin", begin_immediate)
    prepare(engine, upgrade=True)
    return engine


@lru_cache(maxsize=1)
def _empty() -> bytes:
    """An empty database, as SQLite has it in a file."""
    with _template().connect() as connection:
        made = connection.connection.driver_connection
        assert isinstance(made, sqlite3.Connection), "it is SQLite's own"
        return made.serialize()


__all__ = ["MemoryDatabase"]
