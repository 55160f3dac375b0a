"""SQLite in a file: read at once, written by one thread."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from urllib.parse import quote

from sqlalchemy import URL, Connection, Select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from twisted.internet.interfaces import IReactorFromThreads
from typing_extensions import override

from xmppd.store.base import StoreError
from xmppd.store.database import Columns, Database, Parameters, T
from xmppd.store.engine import make_engine, store_error, text_or_bytes
from xmppd.store.group_commit import GroupCommit
from xmppd.store.migrate import prepare
from xmppd.store.threads import Threads

READ_TIMEOUT_S = 1.0
_NOT_UTF_8 = "Could not decode to UTF-8"

_dialect = SQLiteDialect_pysqlite(paramstyle="qmark")


class SQLiteDatabase(Database):
    """A :class:`~xmppd.store.database.Database` in a file.

    A read takes some 10 µs, less than asking a thread to do it; so it is done on the reactor's
    thread, on sqlite3's own cursor.
    """

    alone = True

    def __init__(self, url: URL, reactor: IReactorFromThreads) -> None:
        self._url = url
        self._engine = make_engine(url)
        self._threads = Threads(reactor, 1)
        self._writer = GroupCommit(self._engine, self._threads)
        self._reader: sqlite3.Connection | None = None

    @property
    def commits(self) -> int:
        """How many transactions were committed."""
        return self._writer.commits

    @override
    async def open(self, upgrade: bool) -> None:
        await self._threads.run(partial(prepare, self._engine, upgrade=upgrade))
        path = quote(self._url.database or "")
        try:
            self._reader = sqlite3.connect(
                f"file:{path}?mode=ro", uri=True, timeout=READ_TIMEOUT_S, isolation_level=None
            )
        except sqlite3.Error as error:
            raise store_error(self._url, error) from None

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        if self._reader is None:
            raise StoreError("The store is not open.")
        text, names, fixed = _compiled(query)
        by_name = {**fixed, **parameters}
        values = [by_name[name] for name in names]
        try:
            return self._reader.execute(text, values).fetchall()
        except sqlite3.Error as error:
            if str(error).startswith(_NOT_UTF_8):
                return self._read_any_text(text, values)
            raise store_error(self._url, error) from error

    def _read_any_text(self, text: str, values: Sequence[object]) -> Sequence[tuple[*Columns]]:
        """The rows; a text that is no UTF-8 is bytes in them. Done always, it would cost time."""
        assert self._reader is not None, "it was just read from"
        self._reader.text_factory = text_or_bytes
        try:
            return self._reader.execute(text, values).fetchall()
        except sqlite3.Error as error:
            raise store_error(self._url, error) from error
        finally:
            self._reader.text_factory = str

    @override
    async def write(self, change: Callable[[Connection], T]) -> T:
        return await self._writer.write(change)

    @override
    async def close(self) -> None:
        await self._writer.drain()
        await self._threads.close()
        if self._reader:
            self._reader.close()
            self._reader = None
        self._engine.dispose()


@lru_cache(maxsize=64)
def _compiled(query: Select[*Columns]) -> tuple[str, tuple[str, ...], dict[str, object]]:
    """SQL of a query, the names of its parameters in their order, and values it brings along."""
    compiled = query.compile(dialect=_dialect)
    return str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params)


__all__ = ["SQLiteDatabase"]
