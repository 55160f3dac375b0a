"""SQLiteDatabase: SQLite in a file, read at once, written by one thread."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from itertools import chain
from pathlib import Path
from shutil import disk_usage
from urllib.parse import quote

from sqlalchemy import URL, Connection, Select
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from xmppd.store.database import Columns, Database, NewRows, Parameters, T, appending, no_check
from xmppd.store.engine import (
    database_errors,
    make_engine,
    make_file,
    sqlite_connection,
    store_error,
    text_or_bytes,
    transaction,
)
from xmppd.store.errors import StoreError
from xmppd.store.group_commit import GroupCommit
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.migrate import NOT_NEW, UPGRADE_TIMEOUT_S, Prepare, prepare
from xmppd.store.sqlite_file import SQLiteFile
from xmppd.store.threads import Threads
from xmppd.store.tries import until_free

READ_TIMEOUT_S = 0.05
"""The time for a read, which blocks the reactor; writers keep no reader waiting."""

MAX_STATEMENTS = 1_000
"""Queries that are kept in SQL: more than there are."""

ROWS_AT_ONCE = 32
"""Rows of one INSERT: for each the driver lets the reactor's thread go on, which takes both of them
more time than to write one.
"""

LOOK_EVERY_S = 2.0
"""The time between two checks whether the file is still there."""

_NOT_UTF_8 = "Could not decode to UTF-8"

_dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
_log = Logger()


class SQLiteDatabase(Database):
    """A :class:`~xmppd.store.database.Database` in a file.

    A read takes some 10 µs, less than asking a thread to do it; so it is done on the reactor's
    thread, on sqlite3's own cursor.

    Args:
        url: Of the file.
        reactor: Threads report to it.
        prepare: Makes or checks the tables.
    """

    alone = True
    shared = False

    def __init__(
        self, url: URL, reactor: IReactorFromThreads, *, prepare: Prepare = prepare
    ) -> None:
        self._prepare = prepare
        self._url = url
        self._clock = IReactorTime(reactor)
        self._engine = make_engine(url)
        self._threads = Threads(reactor, 1)
        self._file = SQLiteFile(url.database or "")
        self._writer = GroupCommit(self._engine, self._threads, self._clock, self._check_file)
        self._reader: sqlite3.Connection | None = None
        self._trouble: str | None = None
        self._look: IDelayedCall | None = None
        self._appends = self._seen = self._checkpointed = 0

    @property
    def commits(self) -> int:
        """The number of transactions that were committed."""
        return self._writer.commits + self._appends

    @override
    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        if may_create:
            make_file(self._file.path)
        elif not Path(self._file.path).exists():
            raise StoreError(f"The database {self._file.path} is not there; {NOT_NEW}.")
        if not await until_free(self._lock, self._clock):
            raise StoreError(
                f"The database {self._file.path} is in use by another xmppd or xmppctl; "
                "stop that one, or name another database."
            )
        preparing = partial(self._prepare, self._engine, upgrade=upgrade, may_create=may_create)
        await self._threads.run(preparing, UPGRADE_TIMEOUT_S)
        path = quote(self._file.path)
        try:
            self._reader = sqlite3.connect(
                f"file:{path}?mode=ro", uri=True, timeout=READ_TIMEOUT_S, isolation_level=None
            )
            self._reader.execute("SELECT count(*) FROM accounts").fetchall()  # opens it
        except sqlite3.Error as error:
            raise store_error(self._url, error) from None
        self._file.remember()
        self._look_later()

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        if self._reader is None:
            raise StoreError("The store is not open.")
        if self._trouble is not None:
            raise StoreError(self._trouble)
        text, names, fixed = compiled(query)
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
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        return await self._writer.write(change, limit_s)

    @override
    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        await self._threads.run(partial(self._append, parts, check), limit_s)

    @override
    def free_bytes(self) -> float:
        try:
            return float(disk_usage(Path(self._file.path).parent).free)
        except OSError as error:
            raise StoreError(f"{self._file.path} cannot be examined: {error.strerror}.") from None

    @override
    async def close(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None
        await self._writer.drain()
        await self._threads.close()
        if self._reader:
            self._reader.close()
            self._reader = None
        self._engine.dispose()
        self._file.release()

    async def _lock(self) -> bool:
        return self._file.lock()

    def _append(self, parts: Sequence[NewRows], check: Callable[[], None]) -> None:
        """Append rows; called in the writer's thread, between two commits of others."""
        check()
        self._check_file()
        with database_errors(self._url), self._engine.connect() as connection:
            made = sqlite_connection(connection)
            with transaction(made):
                append_all(made, parts)
        self._appends += 1

    def _check_file(self) -> None:
        """Refuse to write if the file is gone; called in the writer's thread."""
        trouble = self._file.trouble()
        if trouble is not None:
            raise StoreError(trouble)

    def _look_later(self) -> None:
        self._look = self._clock.callLater(LOOK_EVERY_S, self._look_at_file)

    def _look_at_file(self) -> None:
        before, self._trouble = self._trouble, self._file.trouble()
        if self._trouble != before:
            if self._trouble is None:
                _log.info("the database file is back in place")
            else:
                _log.critical(
                    "{trouble} The server stops reading and writing: put the file back, or "
                    "restart the server.",
                    trouble=self._trouble,
                )
        if self.commits == self._seen != self._checkpointed:
            self._checkpointed = self._seen
            Deferred.fromCoroutine(self._threads.run(self._checkpoint)).addErrback(_not_moved)
        self._seen = self.commits
        self._look_later()

    def _checkpoint(self) -> None:
        """Move the log into the file, since nothing is being written; called in the writer's
        thread.
        """
        self._check_file()
        with database_errors(self._url), self._engine.connect() as connection:
            sqlite_connection(connection).execute("PRAGMA wal_checkpoint(PASSIVE)")


def _not_moved(failure: Failure) -> None:
    """Leave the log as it is, if the store fails: a later commit says why, and moves it."""
    failure.trap(StoreError)


def append_all(connection: sqlite3.Connection, parts: Sequence[NewRows]) -> None:
    """Append rows on the driver's own connection."""
    for table, rows, _ in parts:
        whole = len(rows) - len(rows) % ROWS_AT_ONCE
        for start in range(0, whole, ROWS_AT_ONCE):
            values = chain.from_iterable(rows[start : start + ROWS_AT_ONCE])
            connection.execute(appending(table, rows=ROWS_AT_ONCE), tuple(values))
        if whole < len(rows):
            connection.executemany(appending(table), rows[whole:])


@lru_cache(maxsize=MAX_STATEMENTS)
def compiled(query: Select[*Columns]) -> tuple[str, tuple[str, ...], dict[str, object]]:
    """The SQL of a query, the names of its parameters in their order, and its own values."""
    compiled = query.compile(dialect=_dialect)
    return str(compiled), tuple(compiled.positiontup or ()), dict(compiled.params)


__all__ = ["SQLiteDatabase", "append_all", "compiled"]
