"""PostgreSQL: a bounded number of connections, each used by one thread at a time."""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

from sqlalchemy import URL, Connection, Select
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from twisted.internet.interfaces import IReactorFromThreads
from typing_extensions import override

from xmppd.store.database import Columns, Database, Parameters, T
from xmppd.store.engine import database_errors, make_engine, store_error
from xmppd.store.joint_reads import JointReads, Read
from xmppd.store.migrate import prepare
from xmppd.store.threads import Threads

_dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]


class PostgreSQLDatabase(Database):
    """A :class:`~xmppd.store.database.Database` on a server; other nodes may write to it."""

    alone = False

    def __init__(self, url: URL, reactor: IReactorFromThreads, pool_threads: int) -> None:
        self._engine = make_engine(url, pool_threads)
        # A read needs no transaction, and no round trips to begin and end one.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = Threads(reactor, pool_threads)
        self.reads = JointReads(self._answer, self._threads, carriers=pool_threads)

    @override
    async def open(self, upgrade: bool) -> None:
        await self._threads.run(partial(prepare, self._engine, upgrade=upgrade))

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        return await self.reads.read(query, parameters)

    @override
    async def write(self, change: Callable[[Connection], T]) -> T:
        return await self._threads.run(partial(self._transact, change))

    @override
    async def close(self) -> None:
        await self._threads.close()
        self._engine.dispose()

    def _answer(self, reads: Sequence[Read]) -> list[object]:
        """Ask everything before the first answer is waited for: psycopg's pipeline."""
        url, dbapi = self._engine.url, self._engine.dialect.dbapi
        with database_errors(url), self._reading.connect() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None and dbapi is not None, "it is connected"
            try:
                with driver.pipeline():
                    cursors = [driver.execute(*_statement(read)) for read in reads]
                return [cursor.fetchall() for cursor in cursors]
            except dbapi.Error as error:
                raise store_error(url, error) from error

    def _transact(self, change: Callable[[Connection], T]) -> T:
        with database_errors(self._engine.url), self._engine.begin() as connection:
            return change(connection)


def _statement(read: Read) -> tuple[str, dict[str, object]]:
    text, fixed = _compiled(read.query)
    return text, {**fixed, **read.parameters}


@lru_cache(maxsize=64)
def _compiled(query: Select[*Columns]) -> tuple[str, dict[str, object]]:
    """SQL of a query, and values it brings along."""
    compiled = query.compile(dialect=_dialect)
    return str(compiled), dict(compiled.params)


__all__ = ["PostgreSQLDatabase"]
