"""Healing: records that cannot be read are moved to the quarantine, and the query is made again."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from msgspec import msgpack
from sqlalchemy import (
    ColumnElement,
    Connection,
    LargeBinary,
    Select,
    Table,
    Text,
    cast,
    delete,
    select,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType

from xmppd.host.clocks import wall_clock
from xmppd.store import quarantine
from xmppd.store.columns import digest
from xmppd.store.database import Database
from xmppd.store.errors import Unreadable
from xmppd.store.kind import Damaged, Fragment, Kind
from xmppd.store.readable import Quarantined, in_a_line, reason, report

T = TypeVar("T")
Row = Mapping[str, object]


class RecordStore:
    """The records of some kinds; those that cannot be read are set aside, and stop nothing else.

    Args:
        database: Keeps them.
        now: Tells the time in seconds since 1970.
    """

    def __init__(self, database: Database, now: Callable[[], float] = wall_clock) -> None:
        self._database = database
        self._now = now

    @property
    def shared(self) -> bool:
        """Whether other nodes write to the same database."""
        return self._database.shared

    async def set_aside(self, account: str, damaged: Sequence[Damaged]) -> list[Quarantined]:
        """Move records to the quarantine: see :class:`~xmppd.store.readable.Quarantine`."""
        change = partial(set_aside, account=account, damaged=tuple(damaged), now=self._now())
        return await self._database.write(change)

    async def _sound(
        self,
        ask: Callable[[], Awaitable[T]],
        damaged: Sequence[Kind],
        where: Row,
        account: str = "",
    ) -> T:
        """The result of a query; if a row is not sound, its tables are healed, and the query is
        made again.

        Args:
            ask: Reads the rows, or changes something that depends on them.
            damaged: The kinds of the records.
            where: The columns by which they are found.
            account: Their account; empty if they name it themselves.
        """
        try:
            return await ask()
        except Unreadable:
            await self._heal(damaged, where, account)
            return await ask()

    async def _heal(self, damaged: Sequence[Kind], where: Row, account: str = "") -> None:
        change = partial(heal, kinds=damaged, where=where, account=account, now=self._now())
        report(await self._database.write(change))


def heal(
    connection: Connection, kinds: Sequence[Kind], where: Row, account: str, now: float
) -> list[Quarantined]:
    """Set aside the records of some tables that are not sound.

    Args:
        connection: In a transaction.
        kinds: Of the records.
        where: Columns and their values; a table that lacks one of them is read whole.
        account: Their account; empty if they name it themselves.
        now: Seconds since 1970.
    """
    mover = _Mover(connection, account, now)
    for kind in kinds:
        here = where if where.keys() <= set(kind.table.c.keys()) else {}
        rows = connection.execute(_whole(kind.table, here)).mappings()
        unsound = [found for row in rows if (found := _judged(kind, dict(row))) is not None]
        for row, rest, why in unsound:
            mover.move(kind, row, rest, why)
    return mover.finish()


def set_aside(
    connection: Connection, account: str, damaged: Sequence[Damaged], now: float
) -> list[Quarantined]:
    """Set aside records of an account that were found unreadable."""
    mover = _Mover(connection, account, now)
    for each in damaged:
        mover.set_aside(each)
    return mover.finish()


class _Mover:
    """Moves records, one after another."""

    def __init__(self, connection: Connection, account: str, now: float) -> None:
        self._connection = connection
        self._account = account
        self._now = now
        self._moved: list[Quarantined] = []

    def set_aside(self, damaged: Damaged) -> None:
        """Set a record aside, unless another is in its place by now."""
        part = damaged.record
        if isinstance(part, Fragment):
            self._keep(part.kind, part.name, damaged.reason, {"data": part.data})
            return
        kept = part.kept(self._account)
        kind = kept.kind
        row = self._connection.execute(_whole(kind.table, kept.key)).mappings().first()
        if row is None or any(row[column] != value for column, value in kept.content.items()):
            return
        field = damaged.field
        rest = {**row, field: kind.instead[field]} if field in kind.instead else None
        self.move(kind, dict(row), rest, damaged.reason)

    def finish(self) -> list[Quarantined]:
        """Make room in the quarantine; returns the records that were moved."""
        quarantine.make_room(self._connection)
        return self._moved

    def move(self, kind: Kind, row: Row, rest: Row | None, why: str) -> None:
        """Move a row to the quarantine, and put its usable part, if there is one, in its place."""
        table = kind.table
        key = {column.name: row[column.name] for column in table.primary_key}
        if rest is None:
            self._connection.execute(delete(table).where(*_matching(table, key)))
        else:
            changed = {name: value for name, value in rest.items() if value is not row[name]}
            self._connection.execute(update(table).where(*_matching(table, key)).values(changed))
        owner = row.get("owner")
        if kind.moved is not None and isinstance(owner, bytes):
            kind.moved(self._connection, owner)
        name = ", ".join(_shown(row[column]) for column in kind.named_by)
        self._keep(kind.name, name, why, dict(row))

    def _keep(self, kind: str, name: str, why: str, fields: dict[str, object]) -> None:
        account, owner = fields.get("account"), fields.get("owner")
        account = account if isinstance(account, str) and not self._account else self._account
        data = msgpack.encode(fields)
        row = {
            "owner": owner if isinstance(owner, bytes) else digest(account),
            "digest": digest(f"{kind} {account} {data.hex()}"),
            "kind": kind,
            "account": _shown(account),
            "name": _shown(name),
            "reason": why,
            "since": self._now,
            "size": len(data),
            "fields": data,
        }
        number = quarantine.add(self._connection, row)
        if number is not None:
            entry = Quarantined(
                number, kind, _shown(account), _shown(name), why, self._now, len(data)
            )
            self._moved.append(entry)


def _judged(kind: Kind, row: Row) -> tuple[Row, Row | None, str] | None:
    """A row that is not sound, with its usable part and the reason; None if it is sound."""
    why = ""
    rest = dict(row)
    while True:
        try:
            kind.check(*(rest[column] for column in kind.columns))
        except Unreadable as error:
            why = why or reason(error)
            field = error.field
            if field not in kind.instead or rest[field] == kind.instead[field]:
                return row, None, why
            rest[field] = kind.instead[field]
        else:
            return (row, rest, why) if why else None


def _whole(table: Table, where: Row) -> Select[*tuple[object, ...]]:
    """Rows as the database has them, with any value in any column."""
    columns = (type_coerce(column, NullType()).label(column.name) for column in table.c)
    return select(*columns).where(*_matching(table, where)).with_for_update()


def _matching(table: Table, where: Row) -> list[ColumnElement[bool]]:
    return [_equal(table.c[name], value) for name, value in where.items()]


def _equal(column: ColumnElement[object], value: object) -> ColumnElement[bool]:
    if isinstance(column.type, Text) and isinstance(value, bytes):  # a text that is not UTF-8
        return cast(column, LargeBinary) == value
    return column == value


def _shown(value: object) -> str:
    """A value in a line: printable, and not too long."""
    return in_a_line(value.hex() if isinstance(value, bytes) else str(value))


__all__ = ["RecordStore", "heal", "set_aside"]
