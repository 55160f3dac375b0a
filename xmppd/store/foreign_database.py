"""ForeignDatabase: a database of another server, which is only read."""

import sqlite3
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    TextClause,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import StaticPool

from xmppd.stanza.phrases import either
from xmppd.store.engine import CONNECT_TIMEOUT_S, database_errors
from xmppd.store.errors import StoreError

STATEMENT_TIMEOUT_S = 300
"""Of a query: some look at a whole table that has no fitting index."""

MAX_URL_BYTES = 4_096
URL_SUFFIX = ".url"

_DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
_NEEDED = {
    "postgresql": "psycopg: install xmppd[postgres]",
    "mysql": "PyMySQL: install xmppd[mysql]",
}


class ForeignDatabase:
    """A file of SQLite, or a database that a file with a URL names. It is asked by one thread at a
    time.

    Args:
        source: The file of SQLite; or one that ends in ``.url``, and has the URL in its first line:
            there may be a password in it, which no command line should show.
        opened: What is asked instead of a file of SQLite.
    """

    def __init__(self, source: Path, opened: sqlite3.Connection | None = None) -> None:
        self._source = source
        self._given = opened
        self._connection: Connection | None = None
        self._url = URL.create("sqlite", database=str(source))

    def rows(self, query: str, **values: object) -> Sequence[tuple[object, ...]]:
        """The rows of a query.

        Args:
            query: With ``:name`` for each value. Names in double quotes are names, whatever the
                database.
            values: By their names.

        Raises:
            StoreError: There are none; the text does not repeat the password.
        """
        connection = self._opened()
        with database_errors(self._url):
            return [tuple(row) for row in connection.execute(_clause(query), values)]

    def columns(self, table: str) -> frozenset[str]:
        """The names of a table's columns, in small letters; none if there is no such table.

        Raises:
            StoreError: Nobody knows.
        """
        connection = self._opened()
        with database_errors(self._url):
            inspector = inspect(connection)
            names = {name.lower(): name for name in inspector.get_table_names()}
            if table.lower() not in names:
                return frozenset()
            found = inspector.get_columns(names[table.lower()])
            return frozenset(str(column["name"]).lower() for column in found)

    def close(self) -> None:
        """Be done with it."""
        if self._connection is not None:
            self._connection.close()
            self._connection.engine.dispose()
            self._connection = None

    def _opened(self) -> Connection:
        if self._connection is None:
            if self._given is None and self._source.suffix == URL_SUFFIX:
                self._url = _url_in(self._source)
            with database_errors(self._url):
                connection = _engine(self._url, self._given).connect()
                self._connection = connection.execution_options(isolation_level="AUTOCOMMIT")
        return self._connection


def _url_in(path: Path) -> URL:
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_URL_BYTES).decode().strip()
        url = make_url(line)
    except OSError as error:
        raise StoreError(f"{path} cannot be read ({error.strerror or error})") from None
    except (ArgumentError, ValueError):
        raise StoreError(
            f"{path} has no URL of a database in its first line, "
            "such as postgresql://user:password@host/name"
        ) from None
    kind = url.get_backend_name()
    if kind == "sqlite":
        raise StoreError(f"{path} has the URL of an SQLite database; name that file instead")
    if kind not in _DRIVERS:
        raise StoreError(
            f"{path}: xmppd cannot import from {kind}, only from {either(tuple(_DRIVERS))}"
        )
    return url.set(drivername=_DRIVERS[kind])


def _engine(url: URL, given: sqlite3.Connection | None) -> Engine:
    kind = url.get_backend_name()
    if kind == "sqlite":
        return create_engine(
            "sqlite://", creator=lambda: given or _sqlite(url), poolclass=StaticPool
        )
    milliseconds = STATEMENT_TIMEOUT_S * 1_000
    more: dict[str, object] = {"connect_timeout": CONNECT_TIMEOUT_S}
    if kind == "postgresql":
        more["options"] = f"-c default_transaction_read_only=on -c statement_timeout={milliseconds}"
    else:
        more |= {"read_timeout": STATEMENT_TIMEOUT_S, "charset": "utf8mb4"}
        more["sql_mode"] = "ANSI_QUOTES"  # names in double quotes are names, as elsewhere
    try:
        engine = create_engine(url, poolclass=StaticPool, connect_args=more, hide_parameters=True)
    except ModuleNotFoundError:
        raise StoreError(f"This source needs {_NEEDED[kind]}.") from None
    if kind == "mysql":
        event.listen(engine, "connect", _only_read)
    return engine


def _only_read(connection: DBAPIConnection, _entry: object) -> None:
    """Have MySQL write nothing."""
    cursor = connection.cursor()
    cursor.execute("SET SESSION TRANSACTION READ ONLY")
    cursor.close()


def _sqlite(url: URL) -> sqlite3.Connection:
    """A connection that makes no file and changes none. A text that is not UTF-8 shows that where
    it is used, so that the other rows come all the same.
    """
    path = f"file:{quote(url.database or '')}?mode=ro"
    connection = sqlite3.connect(path, uri=True, check_same_thread=False)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    return connection


@lru_cache(maxsize=200)
def _clause(query: str) -> TextClause:
    return text(query)


__all__ = ["URL_SUFFIX", "ForeignDatabase"]
