"""Prepared: statements of changes that are made at the rate of messages."""

from collections.abc import Sequence
from typing import Any, Generic, TypeVarTuple

from sqlalchemy import Connection, Delete, Insert, Select, Update

from xmppd.store.columns import InsertByDialect
from xmppd.store.database import Parameters

C = TypeVarTuple("C")
Statement = Select[*tuple[Any, ...]] | Insert | Update | Delete | InsertByDialect


class Prepared(Generic[*C]):
    """A statement that is written in SQL once for each database, and then executed by the driver
    itself: a tenth of what it costs through SQLAlchemy, which makes much of each execution.

    Its columns come as the driver has them: numbers, texts and bytes are what they are anywhere.

    Args:
        statement: One row at a time, with values for all of its parameters.
        columns: Those that an INSERT writes, if it is not all of them.
    """

    def __init__(self, statement: Statement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._written: dict[str, tuple[str, tuple[str, ...], dict[str, object]]] = {}

    def on(self, connection: Connection, parameters: Parameters) -> Sequence[tuple[*C]]:
        """Execute it in the transaction of a change; returns its rows, if it has any."""
        text, [values] = self._bound(connection, [parameters])
        driver: Any = connection.connection.dbapi_connection  # both drivers have this shortcut
        cursor = driver.execute(text, values)
        return [] if cursor.description is None else cursor.fetchall()

    def on_each(self, connection: Connection, rows: Sequence[Parameters]) -> None:
        """Execute it for each of these rows, in their order, in the transaction of a change."""
        if len(rows) < 2:  # psycopg begins a pipeline for executemany, whatever is in it
            for row in rows:
                self.on(connection, row)
            return
        text, values = self._bound(connection, rows)
        cursor = connection.connection.cursor()
        try:
            cursor.executemany(text, values)
        finally:
            cursor.close()

    def _bound(
        self, connection: Connection, rows: Sequence[Parameters]
    ) -> tuple[str, Sequence[Any]]:
        """Its SQL for a database, and the values of these rows as the driver takes them."""
        written = self._written.get(connection.dialect.name)
        if written is None:
            written = self._written[connection.dialect.name] = self._write(connection)
        text, names, fixed = written
        if fixed:
            rows = [{**fixed, **row} for row in rows]
        # SQLite takes values by their places, and psycopg by their names.
        return text, [[row[name] for name in names] for row in rows] if names else rows

    def _write(self, connection: Connection) -> tuple[str, tuple[str, ...], dict[str, object]]:
        statement = self._statement
        if isinstance(statement, InsertByDialect):
            statement = statement.on(connection)
        compiled = statement.compile(dialect=connection.dialect, column_keys=self._columns)
        fixed = {name: value for name, value in compiled.params.items() if value is not None}
        return str(compiled), tuple(compiled.positiontup or ()), fixed


__all__ = ["Prepared"]
