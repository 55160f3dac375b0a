"""Columns of the server's tables, and statements that are alike for all of them.

Names have up to 3,071 bytes (:rfc:`7622#section-3.1`) and keys of plugins any number, more than an
index of PostgreSQL takes; so look-ups go by the :func:`digest` of a text, which stands beside it.
``owner`` is the digest of the account (or other name) a row belongs to. No row refers to an account
by a foreign key: rows of a name may be there without an account.
"""

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    Table,
    Text,
    TextClause,
    bindparam,
    func,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.base import ReadOnlyColumnCollection

NAMES = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
"""The names of keys and indexes, so that a later step can change them."""

metadata = MetaData(naming_convention=NAMES)

ORDERED = Text().with_variant(Text(collation="C"), "postgresql")
"""Text in the order of code points, as Python's and SQLite's, not of the database's language."""

NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""A key that counts by itself."""

STAYS = "stays"
"""In the ``info`` of a table with a column ``owner``: its rows do not go with the account."""

OWNER: BindParameter[bytes] = bindparam("owner")

# Held until the end of the transaction: a change that counts and then writes must be alone with an
# account.
_LOCK_OWNER: Select[None] = select(
    func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger))
)


def digest(text: str) -> bytes:
    """The digest of a text of any length, for look-ups."""
    return sha256(text.encode()).digest()


def digest_column(name: str, *, primary_key: bool = True) -> Column[bytes]:
    """A column of digests."""
    return Column(name, LargeBinary, primary_key=primary_key, nullable=False)


def lock_owner(connection: Connection, name: str) -> bytes:
    """Lock a name until the transaction ends; on SQLite a writer is alone anyway.

    Returns:
        The digest of the name.
    """
    owner = digest(name)
    if connection.dialect.name == "postgresql":
        number = int.from_bytes(owner[:8], signed=True)
        connection.execute(_LOCK_OWNER, {"number": number})
    return owner


class InsertByDialect:
    """An INSERT that SQLite and PostgreSQL write each in their own way.

    Args:
        on_sqlite: That of SQLite.
        on_postgresql: That of PostgreSQL.
    """

    def __init__(self, on_sqlite: Insert, on_postgresql: Insert) -> None:
        self._by_dialect = {"sqlite": on_sqlite, "postgresql": on_postgresql}

    def on(self, connection: Connection) -> Insert:
        """The statement for the database of this connection."""
        return self._by_dialect[connection.dialect.name]


Columns = ReadOnlyColumnCollection[str, Any]
"""The columns of a row that would be inserted, by name."""


def upsert(
    table: Table, merge: Callable[[Columns], Mapping[str, ColumnElement[Any]]] | None = None
) -> InsertByDialect:
    """An INSERT that takes the place of the row with the same primary key.

    Args:
        table: Where.
        merge: Gets the columns of the new row, and says what columns of the old one become
            instead; others stay.
    """
    key = list(table.primary_key)
    names = {column.name for column in key}
    statements = []
    for dialect in (sqlite, postgresql):
        adding = dialect.insert(table)
        values: Mapping[str, ColumnElement[Any]] = {
            column.name: column for column in adding.excluded if column.name not in names
        }
        if merge is not None:
            values = merge(adding.excluded)
        statements.append(adding.on_conflict_do_update(index_elements=key, set_=values))
    return InsertByDialect(*statements)


def insert_if_absent(table: Table) -> InsertByDialect:
    """An INSERT that returns a row only if there was none of this primary key."""
    key = list(table.primary_key)
    return InsertByDialect(
        sqlite.insert(table).on_conflict_do_nothing(index_elements=key).returning(*key),
        postgresql.insert(table).on_conflict_do_nothing(index_elements=key).returning(*key),
    )


def insert_unless(
    table: Table, taken: Sequence[Column[Any]], where: TextClause, returned: Column[Any]
) -> InsertByDialect:
    """An INSERT that adds and returns nothing if the values of a unique index are taken.

    Args:
        table: Where.
        taken: The columns of the index.
        where: Of which rows the index is.
        returned: A column of the new row.
    """
    return InsertByDialect(
        *(
            dialect.insert(table)
            .on_conflict_do_nothing(index_elements=taken, index_where=where)
            .returning(returned)
            for dialect in (sqlite, postgresql)
        )
    )


__all__ = [
    "NAMES",
    "NUMBER",
    "ORDERED",
    "OWNER",
    "STAYS",
    "Columns",
    "InsertByDialect",
    "digest",
    "digest_column",
    "insert_if_absent",
    "lock_owner",
    "metadata",
    "upsert",
]
