"""Copying: everything that is in one database is taken to another one, which is empty."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from functools import partial

from sqlalchemy import Connection, Engine, Table, exists, inspect, literal, select, text
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime

from xmppd.host.clocks import wall_clock
from xmppd.store.accounts import ACCOUNT
from xmppd.store.api_keys import API_KEY
from xmppd.store.audit import AUDIT_ENTRY
from xmppd.store.columns import metadata
from xmppd.store.copied_tables import (
    Misfit,
    Row,
    RowSum,
    go_on_from,
    key_of,
    last_number,
    make_tables,
    page,
    put,
    tables_of,
)
from xmppd.store.database import Database
from xmppd.store.devices import DEVICE
from xmppd.store.engine import database_errors, parse_url
from xmppd.store.errors import StoreError
from xmppd.store.former_accounts import FORMER_ACCOUNT
from xmppd.store.healing import heal
from xmppd.store.held import HELD_MESSAGE
from xmppd.store.items import ITEM
from xmppd.store.jobs import JOB
from xmppd.store.last_presences import LAST_PRESENCE
from xmppd.store.migrate import (
    COPYING,
    REVISION_TABLE,
    be_alone,
    prepare,
    revision_of,
    shown,
    write_revision,
)
from xmppd.store.offline import OFFLINE_MESSAGE
from xmppd.store.postgresql import PostgreSQLDatabase
from xmppd.store.readable import in_a_line
from xmppd.store.readings import READING
from xmppd.store.rosters import ROSTER_ITEM, ROSTER_VERSION
from xmppd.store.scram_keys import KEY
from xmppd.store.sessions import SESSION
from xmppd.store.shared_groups import MEMBER, SHARED_GROUP
from xmppd.store.sqlite import SQLiteDatabase
from xmppd.store.store import make_store
from xmppd.store.tables import PLUGIN_SCHEMA

PAGE_LIMIT_S = 60.0
"""The time that a page may take, on either side."""

_KINDS = {
    kind.table.name: kind
    for kind in (
        ACCOUNT, KEY, FORMER_ACCOUNT, ROSTER_VERSION, ROSTER_ITEM, OFFLINE_MESSAGE, LAST_PRESENCE,
        DEVICE, ITEM, SHARED_GROUP, MEMBER, SESSION, HELD_MESSAGE, PLUGIN_SCHEMA,
        API_KEY, AUDIT_ENTRY, JOB, READING,
    )
}  # fmt: skip

_FUNCTIONS = text("DROP FUNCTION IF EXISTS count_messages(), count_items()")


class Copying:
    """Takes everything from one database to another (ST-12).

    The other one has a revision of its own meanwhile, which no server takes. If this is killed, the
    next time begins anew. In the end both are compared.

    Args:
        source: The URL of a database that no server uses.
        target: The URL of a database that has nothing in it, or was copied to and not finished.
        reactor: The reactor.
    """

    def __init__(self, source: str, target: str, reactor: IReactorFromThreads) -> None:
        from_url, to_url = parse_url(source), parse_url(target)
        if from_url == to_url:
            raise StoreError(
                "The database to copy to is the one that storage.url names; name another one."
            )
        self.shown = shown(to_url)
        self._source = make_store(source, reactor=IReactorTime(reactor), pool_threads=1).database
        self._target: Database = (
            SQLiteDatabase(to_url, reactor, prepare=_prepare_target)
            if to_url.get_backend_name() == "sqlite"
            else PostgreSQLDatabase(to_url, reactor, 1, prepare=_prepare_target)
        )

    async def copy(self) -> AsyncGenerator[tuple[str, int]]:
        """Copy all tables; gives the name of each that is there now, and how many rows it has.

        Raises:
            StoreError: One of the databases cannot be used, or something was not taken over.
        """
        try:
            await self._source.open(upgrade=False, may_create=False)
            await self._target.open(upgrade=True)
            tables = await self._source.write(tables_of, PAGE_LIMIT_S)
            expected = await self._sums(self._source, tables)
            await self._target.write(partial(make_tables, tables=tables), PAGE_LIMIT_S)
            for table in tables:
                await self._copy(table)
                yield table.name, expected[table.name].rows
            found = await self._sums(self._target, tables)
            wrong = sorted(name for name, rows in expected.items() if found[name] != rows)
            if wrong:
                raise StoreError(
                    f"What is in {self.shown} now differs from the original ({', '.join(wrong)}): "
                    "do not use it; copy again."
                )
            await self._target.write(write_revision, PAGE_LIMIT_S)
        finally:
            try:
                await self._source.close()
            finally:
                await self._target.close()

    async def _copy(self, table: Table) -> None:
        async for rows in self._pages(self._source, table):
            await self._target.write(partial(put, table=table, rows=rows), PAGE_LIMIT_S)
        last = await self._source.write(partial(last_number, table=table), PAGE_LIMIT_S)
        await self._target.write(partial(go_on_from, table=table, last=last), PAGE_LIMIT_S)

    async def _sums(self, database: Database, tables: Iterable[Table]) -> dict[str, RowSum]:
        """What is in the tables. Records that fit no other database are set aside before."""
        while True:
            sums = {table.name: RowSum() for table in tables}
            try:
                for table in tables:
                    async for rows in self._pages(database, table):
                        for row in rows:
                            sums[table.name].add(row)
            except _Damaged as damaged:
                await self._source.write(damaged.heal, PAGE_LIMIT_S)
            else:
                return sums

    async def _pages(self, database: Database, table: Table) -> AsyncIterator[list[Row]]:
        after: Row = ()
        done = 0
        while rows := await database.write(
            partial(_page, table=table, after=after, done=done), PAGE_LIMIT_S
        ):
            yield rows
            after = key_of(table, rows[-1])
            done += len(rows)


class _Damaged(Exception):
    """An error: a record has to be set aside before its table can be copied."""

    def __init__(self, table: Table, misfit: Misfit) -> None:
        super().__init__(table.name)
        self.table = table
        self.key = misfit.key

    def heal(self, connection: Connection) -> None:
        """Set the record aside.

        Raises:
            StoreError: It is none that can be.
        """
        kind = _KINDS.get(self.table.name)
        moved = kind and heal(connection, (kind,), self.key, "", wall_clock())
        if not moved:
            names = ", ".join(f"{name} {_shown(value)}" for name, value in self.key.items())
            raise StoreError(
                f"A row of the table {self.table.name} ({names}) has a value whose type is not "
                "that of its column: mend the row, or delete it."
            )


def _shown(value: object) -> str:
    return in_a_line(value.hex() if isinstance(value, bytes) else str(value))


def _page(connection: Connection, table: Table, after: Row, done: int) -> list[Row]:
    try:
        return page(connection, table, after, done)
    except Misfit as misfit:
        raise _Damaged(table, misfit) from misfit


def _prepare_target(engine: Engine, *, upgrade: bool, may_create: bool = True) -> None:
    """Have all tables, with nothing in them, and the revision of a copy that is not finished."""
    with database_errors(engine.url), engine.begin() as connection:
        be_alone(connection)
        if revision_of(connection) == COPYING:
            _drop_everything(connection)
        elif _in_use(connection):
            raise StoreError(
                f"The database {shown(engine.url)} is not empty: name one that has nothing in it."
            )
    prepare(engine, upgrade=False)
    with database_errors(engine.url), engine.begin() as connection:
        write_revision(connection, COPYING)


def _drop_everything(connection: Connection) -> None:
    """Drop what an earlier copy has made."""
    quoted = connection.dialect.identifier_preparer.quote
    for name in inspect(connection).get_table_names():
        cascade = " CASCADE" if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"DROP TABLE {quoted(name)}{cascade}")
    if connection.dialect.name == "postgresql":
        connection.execute(_FUNCTIONS)


def _in_use(connection: Connection) -> bool:
    """Whether there are tables that are not ours, or anything in those that are."""
    names = set(inspect(connection).get_table_names()) - {REVISION_TABLE}
    if names - metadata.tables.keys() or (names and revision_of(connection) is None):
        return True
    rows = (select(exists(select(literal(1)).select_from(metadata.tables[name]))) for name in names)
    return any(connection.execute(query).scalar() for query in rows)


__all__ = ["PAGE_LIMIT_S", "Copying"]
