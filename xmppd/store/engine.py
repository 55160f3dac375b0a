"""An Engine for a URL, with every wait bounded, and errors said without secrets."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from sqlite3 import Connection as SQLiteConnection
from sqlite3 import Error as SQLiteError
from typing import cast

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from xmppd.store.base import StoreError

CONNECT_TIMEOUT_S = 10
LOCK_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 30
IDLE_TRANSACTION_TIMEOUT_S = 60

_POSTGRESQL_OPTIONS = " ".join(
    f"-c {name}={seconds * 1000}"
    for name, seconds in (
        ("lock_timeout", LOCK_TIMEOUT_S),
        ("statement_timeout", STATEMENT_TIMEOUT_S),
        ("idle_in_transaction_session_timeout", IDLE_TRANSACTION_TIMEOUT_S),
    )
)


def has_password(url: str) -> bool:
    """Whether the URL of a database holds the password to it."""
    try:
        return make_url(url).password is not None
    except ArgumentError:
        return False


def parse_url(url: str) -> URL:
    """The URL of a database we can use.

    Raises:
        StoreError: It is not one; the text does not repeat it, since it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise StoreError("The URL of the database cannot be read.") from None
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise StoreError(f"A {kind} database cannot be used: sqlite and postgresql can.")
    if parsed.database in (None, "", ":memory:"):
        raise StoreError("The URL of an SQLite database must name a file.")
    return parsed.set(drivername="sqlite+pysqlite")


def make_engine(url: URL, connections: int = 1) -> Engine:
    """An Engine that keeps at most so many connections, and has none yet.

    Raises:
        StoreError: A package is missing.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    return _postgresql_engine(url, connections)


@contextmanager
def database_errors(url: URL) -> Iterator[None]:
    """What the database says, in one sentence of ours."""
    try:
        yield
    except (SQLAlchemyError, SQLiteError) as error:
        raise store_error(url, error) from error


def store_error(url: URL, error: Exception) -> StoreError:
    """One sentence, without password and parameters."""
    cause = getattr(error, "orig", None) or error
    said = str(cause).strip().partition("\n")[0] or type(cause).__name__
    return StoreError(f"The database {url.render_as_string(hide_password=True)} failed: {said}")


def is_in_transaction(connection: Connection) -> bool:
    """Whether SQLite itself still has the transaction we began."""
    return cast(SQLiteConnection, connection.connection.dbapi_connection).in_transaction


def _postgresql_engine(url: URL, connections: int) -> Engine:
    try:
        return create_engine(
            url,
            hide_parameters=True,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=STATEMENT_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "options": _POSTGRESQL_OPTIONS},
        )
    except ModuleNotFoundError:
        raise StoreError("PostgreSQL needs psycopg: install xmppd[postgres].") from None


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=STATEMENT_TIMEOUT_S,
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _make_file)
    event.listen(engine, "connect", _be_durable)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _make_file(
    _dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Sequence[str], _options: object
) -> None:
    """Keep the file, and with it the log beside it, from other users: it holds accounts' keys."""
    path = arguments[0]
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StoreError(f"The database {path} cannot be opened: {error.strerror}.") from None


def _be_durable(connection: SQLiteConnection, _entry: ConnectionPoolEntry) -> None:
    """What a commit has told is safe stays safe when the power fails."""
    # The module would begin transactions at the first INSERT only; we say when.
    connection.isolation_level = None
    connection.text_factory = text_or_bytes
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")


def text_or_bytes(column: bytes) -> str | bytes:
    """A text of SQLite; one that is no UTF-8 stays bytes, and fails as the row it is in is read."""
    try:
        return column.decode()
    except UnicodeDecodeError:
        return column


def _begin_immediate(connection: Connection) -> None:
    """Take the lock to write at once: taken later it could not be waited for."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


__all__ = [
    "database_errors",
    "is_in_transaction",
    "make_engine",
    "parse_url",
    "store_error",
    "text_or_bytes",
]
