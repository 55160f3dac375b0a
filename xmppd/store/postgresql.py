"""PostgreSQL: a bounded number of connections, each used by one thread at a time."""

from collections.abc import Callable, Sequence
from functools import partial

from sqlalchemy import URL, Connection, Select
from twisted.internet.interfaces import IReactorFromThreads
from typing_extensions import override

from xmppd.store.database import Columns, Database, Parameters, T
from xmppd.store.engine import database_errors, make_engine
from xmppd.store.migrate import prepare
from xmppd.store.threads import Threads


class PostgreSQLDatabase(Database):
    """A :class:`~xmppd.store.database.Database` on a server; other nodes may write to it."""

    alone = False

    def __init__(self, url: URL, reactor: IReactorFromThreads, pool_threads: int) -> None:
        self._engine = make_engine(url, pool_threads)
        # A read needs no transaction, and no round trips to begin and end one.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._threads = Threads(reactor, pool_threads)

    @override
    async def open(self, upgrade: bool) -> None:
        await self._threads.run(partial(prepare, self._engine, upgrade=upgrade))

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        return await self._threads.run(partial(self._rows, query, parameters))

    @override
    async def write(self, change: Callable[[Connection], T]) -> T:
        return await self._threads.run(partial(self._transact, change))

    @override
    async def close(self) -> None:
        await self._threads.close()
        self._engine.dispose()

    def _rows(self, query: Select[*Columns], parameters: Parameters) -> Sequence[tuple[*Columns]]:
        with database_errors(self._engine.url), self._reading.connect() as connection:
            return connection.execute(query, parameters).all()

    def _transact(self, change: Callable[[Connection], T]) -> T:
        with database_errors(self._engine.url), self._engine.begin() as connection:
            return change(connection)


__all__ = ["PostgreSQLDatabase"]
