"""PostgreSQL: a bounded number of connections, each used by one thread at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from math import inf
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Connection,
    Double,
    Integer,
    LargeBinary,
    Select,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.python.failure import Failure
from typing_extensions import override

from xmppd.store.database import Columns, Database, NewRows, Parameters, T, appending, no_check
from xmppd.store.database_lock import DatabaseLock
from xmppd.store.engine import database_errors, make_engine, store_error
from xmppd.store.errors import StoreError
from xmppd.store.joint_reads import JointReads, Read
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.migrate import UPGRADE_TIMEOUT_S, Prepare, prepare
from xmppd.store.sqlite import MAX_STATEMENTS
from xmppd.store.threads import Threads

_dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]

# The types of columns, as binary COPY wants to be told them.
_COPIED_AS = {
    BigInteger: "int8",
    Integer: "int4",
    Double: "float8",
    LargeBinary: "bytea",
    Text: "text",
}


class PostgreSQLDatabase(Database):
    """A :class:`~xmppd.store.database.Database` on a server.

    Args:
        url: Of the database.
        reactor: Threads report to it.
        pool_threads: The number of threads, and of connections.
        taken_over: Called, with the reason, when another server has the database.
        shared: Whether other nodes of the service use it.
        prepare: Makes or checks the tables.
    """

    alone = False

    def __init__(
        self,
        url: URL,
        reactor: IReactorFromThreads,
        pool_threads: int,
        taken_over: Callable[[str], None] = lambda why: None,
        *,
        shared: bool = False,
        prepare: Prepare = prepare,
    ) -> None:
        self._prepare = prepare
        self.shared = shared
        self._lock = DatabaseLock(url, reactor, self._renew, taken_over, shared=shared)
        self._engine = make_engine(url, pool_threads)
        # A read needs no transaction, and no round trips to begin and end one.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = Threads(reactor, pool_threads)
        self.reads = JointReads(
            self._answer, self._threads, IReactorTime(reactor), carriers=pool_threads
        )

    @override
    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        await self._lock.take()
        preparing = partial(self._prepare, self._engine, upgrade=upgrade, may_create=may_create)
        await self._threads.run(preparing, UPGRADE_TIMEOUT_S)

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        self._check_lock()
        return await self.reads.read(query, parameters)

    @override
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        self._check_lock()
        return await self._threads.run(partial(self._transact, change), limit_s)

    @override
    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        self._check_lock()
        await self._threads.run(partial(self._append, parts, check), limit_s)

    @override
    def free_bytes(self) -> float:
        return inf

    @override
    async def close(self) -> None:
        try:
            await self._threads.close()
        finally:
            self._engine.dispose()
            await self._lock.close()

    def _renew(self) -> None:
        """Close idle connections after the server was away, since they may be dead."""
        self._engine.dispose()

    def _check_lock(self) -> None:
        """Refuse a call without the lock, or while the database does not answer.

        Raises:
            StoreError: It is refused.
        """
        if self._lock.trouble is not None:
            raise StoreError(self._lock.trouble)

    def _answer(self, reads: Sequence[Read]) -> list[object]:
        """Send all queries before the first answer is waited for, by psycopg's pipeline.

        If one fails and the connection stays, each is sent alone: a plugin's wrong statement is
        no trouble of those who ask at the same moment.

        Returns:
            For each its rows, or the Failure.
        """
        with database_errors(self._engine.url), self._reading.connect() as connection:
            return self._answer_by(connection, reads)

    def _answer_by(self, connection: Connection, reads: Sequence[Read]) -> list[object]:
        url, dbapi = self._engine.url, self._engine.dialect.dbapi
        driver = connection.connection.driver_connection
        assert driver is not None and dbapi is not None, "it is connected"
        try:
            with driver.pipeline():
                cursors = [driver.execute(*_statement(read)) for read in reads]
            return [cursor.fetchall() for cursor in cursors]
        except dbapi.Error as error:
            if driver.closed:
                connection.invalidate()
                raise store_error(url, error) from error
            if len(reads) == 1:
                return [Failure(store_error(url, error))]
        return [rows for read in reads for rows in self._answer_by(connection, (read,))]

    def _append(self, parts: Sequence[NewRows], check: Callable[[], None]) -> None:
        """Append rows by COPY, which takes none that is there already: then all of them go by
        INSERT, as those do that are often there.
        """
        check()
        driver: Any = self._engine.dialect.dbapi
        with self._errors():
            try:
                self._append_by(parts, [each.often_there for each in parts])
            except driver.errors.UniqueViolation:
                self._append_by(parts, [True] * len(parts))

    def _append_by(self, parts: Sequence[NewRows], by_insert: Sequence[bool]) -> None:
        with self._engine.begin() as connection:
            made: Any = connection.connection.driver_connection
            for (table, rows, _), inserts in zip(parts, by_insert, strict=True):
                if not rows:
                    continue
                if inserts:
                    made.cursor().executemany(appending(table, "%s"), rows)
                else:
                    _copy(made, table, rows)

    def _transact(self, change: Callable[[Connection], T]) -> T:
        with self._errors(), self._engine.begin() as connection:
            return change(connection)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """A context in which errors become a StoreError, also those of psycopg itself."""
        driver: Any = self._engine.dialect.dbapi
        try:
            with database_errors(self._engine.url):
                yield
        except driver.Error as error:
            raise store_error(self._engine.url, error) from error


def _statement(read: Read) -> tuple[str, dict[str, object]]:
    text, fixed = _compiled(read.query)
    return text, {**fixed, **read.parameters}


def _copy(driver: Any, table: Table, rows: Sequence[tuple[object, ...]]) -> None:
    names = ", ".join(table.c.keys())
    with driver.cursor().copy(f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types([_COPIED_AS[type(column.type)] for column in table.c])
        for row in rows:
            copy.write_row(row)


@lru_cache(maxsize=MAX_STATEMENTS)
def _compiled(query: Select[*Columns]) -> tuple[str, dict[str, object]]:
    """SQL of a query, and values it brings along."""
    compiled = query.compile(dialect=_dialect)
    return str(compiled), dict(compiled.params)


__all__ = ["PostgreSQLDatabase"]
