"""Tables that are copied from one database to another: the server's own, and those of plugins."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Connection,
    DefaultClause,
    Double,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    bindparam,
    insert,
    inspect,
    select,
    text,
    tuple_,
    type_coerce,
)
from sqlalchemy.types import NullType, TypeEngine

from xmppd.store.columns import NAMES, NUMBER, ORDERED, metadata
from xmppd.store.errors import StoreError
from xmppd.store.migrate import REVISION_TABLE
from xmppd.store.usage import usage

PAGE_ROWS = 500
PAGE_BYTES = 4 << 20
"""A page ends behind the row with which it has so many."""

ROWS_AT_A_TIME = 20
"""That a server sends of a page; the rest waits there."""

_CAST = re.compile(r"::[a-z][a-z ]*(\[\])?")
_SEQUENCE = text("SELECT pg_get_serial_sequence(:table, :column)")
_LAST_OF_SEQUENCE = text("SELECT pg_sequence_last_value(CAST(:sequence AS regclass))")
_LAST_OF_FILE = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
_FORGET_LAST = text("DELETE FROM sqlite_sequence WHERE name = :table")
_NOTE_LAST = text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)")
_SET_LAST = text("SELECT setval(:sequence, :last)")

Row = tuple[object, ...]


class Misfit(ValueError):
    """An error: a row has a value that is none of its column's type.

    Args:
        key: The row's primary key, with the values that are there.
    """

    def __init__(self, key: Mapping[str, object]) -> None:
        super().__init__("the type of a value is not that of its column")
        self.key = key


@dataclass
class RowSum:
    """The rows of a table, whatever their order.

    Attributes:
        rows: Their number.
        digest: The sum of their digests.
    """

    rows: int = 0
    digest: int = 0

    def add(self, row: Row) -> None:
        """Count a row."""
        self.rows += 1
        self.digest += int.from_bytes(sha256(repr(row).encode()).digest())
        self.digest %= 2**256


# --- which tables there are ----------------------------------------------------------------------


def tables_of(connection: Connection) -> list[Table]:
    """All tables, those first that others refer to. What triggers write is not among them."""
    others = MetaData(naming_convention=NAMES)
    names = set(inspect(connection).get_table_names())
    own = metadata.tables.keys() | {REVISION_TABLE}
    others.reflect(connection, only=sorted(names - own))
    return [
        *(table for table in metadata.sorted_tables if table is not usage),
        *others.sorted_tables,
    ]


def make_tables(connection: Connection, tables: Iterable[Table]) -> None:
    """Make the tables of plugins, as this database has them."""
    here = MetaData(naming_convention=NAMES)
    for table in tables:
        if table.name not in metadata.tables:
            _adapted(table.to_metadata(here), connection.dialect.name)
    here.create_all(connection, checkfirst=False)


def _adapted(table: Table, dialect: str) -> None:
    for column in table.columns:
        counts = number_of(table) is column
        column.type = NUMBER if counts else _plain(table, column)
        default = column.server_default
        column.server_default = None
        if not counts and isinstance(default, DefaultClause):
            column.server_default = DefaultClause(text(_CAST.sub("", str(default.arg))))
        if counts:
            column.identity = None
            table.dialect_options["sqlite"]["autoincrement"] = True
    for index in table.indexes:
        options = index.dialect_options
        where = options["sqlite"].get("where"), options["postgresql"].get("where")
        options[dialect]["where"] = where[0] if where[1] is None else where[1]
    if dialect == "sqlite":  # PostgreSQL gives them in words of its own
        table.constraints -= {c for c in table.constraints if isinstance(c, CheckConstraint)}


def _plain(table: Table, column: Column[Any]) -> TypeEngine[Any]:
    """The type of a column, out of those that plugins have."""
    found = column.type
    for known, plain in (
        (Boolean, Boolean()), (Float, Double()), (BigInteger, BigInteger()), (Integer, Integer()),
        (LargeBinary, LargeBinary()), (String, ORDERED),
    ):  # fmt: skip
        if isinstance(found, known):
            return plain
    raise StoreError(f"The column {column.name} of {table.name} has a type that is not known here.")


def number_of(table: Table) -> Column[int] | None:
    """The column of a table that counts by itself; None if there is none."""
    key = list(table.primary_key)
    counts = len(key) == 1 and isinstance(key[0].type, Integer)
    return key[0] if counts else None


# --- what is in them -----------------------------------------------------------------------------


def page(connection: Connection, table: Table, after: Row, done: int) -> list[Row]:
    """The next rows of a table, in the order of its key.

    Args:
        connection: In a transaction.
        table: A table.
        after: The key of the row before them; empty for the first.
        done: The number of rows before them.

    Raises:
        Misfit: A row has a value that is none of its column's type.
    """
    rows: list[Row] = []
    size = 0
    asked = _page_of(table, bool(after), done)
    parameters = {f"after_{number}": value for number, value in enumerate(after)}
    streamed = {"yield_per": ROWS_AT_A_TIME}
    for found in connection.execute(asked, parameters, execution_options=streamed):
        rows.append(_fitting(table, tuple(found)))
        size += sum(len(value) for value in found if isinstance(value, str | bytes))
        if size > PAGE_BYTES:
            break
    return rows


def key_of(table: Table, row: Row) -> Row:
    """The key of a row; empty if its table has none."""
    names = {column.name for column in table.primary_key}
    return tuple(
        value for column, value in zip(table.columns, row, strict=True) if column.name in names
    )


def put(connection: Connection, table: Table, rows: Sequence[Row]) -> None:
    """Add rows to a table."""
    names = [column.name for column in table.columns]
    values = [dict(zip(names, row, strict=True)) for row in rows]
    connection.execute(insert(table), values)


def last_number(connection: Connection, table: Table) -> int:
    """The highest number that a table has given to a row; 0 if it gives none."""
    column = number_of(table)
    if column is None:
        return 0
    highest = select(column).order_by(column.desc()).limit(1)
    found: list[int] = [connection.execute(highest).scalar_one_or_none() or 0]
    if connection.dialect.name == "sqlite":
        if inspect(connection).has_table("sqlite_sequence"):
            found.append(connection.execute(_LAST_OF_FILE, {"table": table.name}).scalar() or 0)
    elif (sequence := _sequence(connection, table, column)) is not None:
        found.append(connection.execute(_LAST_OF_SEQUENCE, {"sequence": sequence}).scalar() or 0)
    return max(found)


def go_on_from(connection: Connection, table: Table, last: int) -> None:
    """Have a table give its next row a higher number than this."""
    column = number_of(table)
    if column is None or not last:
        return
    if connection.dialect.name == "sqlite":
        connection.execute(_FORGET_LAST, {"table": table.name})
        connection.execute(_NOTE_LAST, {"table": table.name, "last": last})
    elif (sequence := _sequence(connection, table, column)) is not None:
        connection.execute(_SET_LAST, {"sequence": sequence, "last": last})


def _sequence(connection: Connection, table: Table, column: Column[int]) -> str | None:
    name = connection.dialect.identifier_preparer.quote(table.name)
    asked = {"table": name, "column": column.name}
    sequence: str | None = connection.execute(_SEQUENCE, asked).scalar()
    return sequence


def _page_of(table: Table, follows: bool, done: int) -> Select[*tuple[object, ...]]:
    # As the database has them: a file may have any value in any column.
    raw = (type_coerce(column, NullType()).label(column.name) for column in table.columns)
    asked = select(*raw).limit(PAGE_ROWS)
    key = list(table.primary_key)
    if not key:
        return asked.order_by(*table.columns).offset(done)
    if follows:
        before = [bindparam(f"after_{number}", type_=NullType()) for number in range(len(key))]
        asked = asked.where(tuple_(*key) > tuple_(*before))
    return asked.order_by(*key)


def _fitting(table: Table, row: Row) -> Row:
    try:
        return tuple(
            _value(column.type, value) for column, value in zip(table.columns, row, strict=True)
        )
    except ValueError:
        names = [column.name for column in table.primary_key]
        values = dict(zip((column.name for column in table.columns), row, strict=True))
        raise Misfit({name: values[name] for name in names}) from None


def _value(kind: TypeEngine[Any], value: object) -> object:
    """A value of this type, the same whichever database it is from."""
    match kind, value:
        case (_, None):
            return None
        case (Boolean(), 0 | 1):
            return bool(value)
        case (Float(), int() | float()):
            return float(value)
        case (LargeBinary(), bytes()):
            return value
        case (String(), str()) if "\0" not in value:
            return value
        case (Integer(), int()) if -_limit(kind) <= value < _limit(kind):
            return value
    raise ValueError("the value has another type")


def _limit(kind: TypeEngine[Any]) -> int:
    return 2**63 if isinstance(kind, BigInteger) else 2**31
