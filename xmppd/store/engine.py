"""An Engine for a URL, with every wait bounded, and errors said without secrets."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import Connection as SQLiteConnection
from sqlite3 import Error as SQLiteError
from typing import Any, cast

from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from xmppd.store.errors import StoreError
from xmppd.store.limits import left_s

CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S = 30
IDLE_TRANSACTION_TIMEOUT_S = 60
WRITER_CACHE_KIB = 65_536
"""What the writer of an SQLite file keeps of it in memory: most pages of an index that grows."""

CHECKPOINT_PAGES = 16_000
"""After so many pages a commit of SQLite has to move the log into the file by itself, if that has
not been done before, while nothing was written."""

SILENCE_TIMEOUT_S = 15
"""A peer that the network has lost is given up by TCP after so long, on both sides."""

_KEEPALIVES = {"keepalives_idle": 6, "keepalives_interval": 3, "keepalives_count": 3}

# The server is told as well: locks of a dead process must not stay for hours.
_POSTGRESQL_OPTIONS = " ".join(
    f"-c {name}={value}"
    for name, value in {
        "lock_timeout": LOCK_TIMEOUT_S * 1000,
        "statement_timeout": STATEMENT_TIMEOUT_S * 1000,
        "idle_in_transaction_session_timeout": IDLE_TRANSACTION_TIMEOUT_S * 1000,
        "tcp_user_timeout": SILENCE_TIMEOUT_S * 1000,
        **{f"tcp_{name}": value for name, value in _KEEPALIVES.items()},
    }.items()
)

_CONNECTION: dict[str, str | int] = {
    "application_name": "xmppd",
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives": 1,
    "tcp_user_timeout": SILENCE_TIMEOUT_S * 1000,
    **_KEEPALIVES,
}


# These log a broken connection with a trace; a StoreError says it in a sentence.
for _name in ("sqlalchemy.pool", "psycopg"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


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
        raise StoreError(
            'The URL of the database is not valid; write it as "sqlite:///xmppd.sqlite" or '
            '"postgresql://user:password@host/database".'
        ) from None
    kind = parsed.get_backend_name()
    if kind == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if kind != "sqlite":
        raise StoreError(f"{kind} is not supported; use sqlite or postgresql.")
    if parsed.database in (None, "", ":memory:"):
        raise StoreError(
            'sqlite:// must name a file, after three slashes: write it as "sqlite:///xmppd.sqlite".'
        )
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
    """A context in which errors of the database become a StoreError of one sentence."""
    try:
        yield
    except (SQLAlchemyError, SQLiteError) as error:
        raise store_error(url, error) from error


def store_error(url: URL, error: Exception) -> StoreError:
    """The error in one sentence, without password and parameters."""
    cause = getattr(error, "orig", None) or error
    said = str(cause).strip().partition("\n")[0] or type(cause).__name__
    return StoreError(f"The database {url.render_as_string(hide_password=True)} failed: {said}")


def sqlite_connection(connection: Connection) -> SQLiteConnection:
    """The connection of SQLite's own module under one of SQLAlchemy."""
    return cast(SQLiteConnection, connection.connection.dbapi_connection)


@contextmanager
def transaction(connection: SQLiteConnection) -> Iterator[None]:
    """A transaction on the driver's own connection: SQLAlchemy's costs as much as ten changes."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # on a full disk SQLite has taken it back
            connection.execute("ROLLBACK")
        raise


def _postgresql_engine(url: URL, connections: int) -> Engine:
    try:
        from xmppd.store.bounded_connection import BoundedConnection  # noqa: PLC0415  # may miss
    except ModuleNotFoundError:
        raise StoreError("PostgreSQL needs psycopg: install xmppd[postgres].") from None

    def connect(
        _dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Sequence[str], named: Any
    ) -> Any:
        return BoundedConnection.connect(*arguments, **_bounded(named))

    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=STATEMENT_TIMEOUT_S,
        pool_pre_ping=True,
    )
    event.listen(engine, "do_connect", connect)
    return engine


def _bounded(named: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for a connection; those in the URL come first.

    Raises:
        StoreError: This thread may not wait any more.
    """
    left = left_s()
    if left <= 0:
        raise StoreError("The database does not answer.")
    options = f"{_POSTGRESQL_OPTIONS} {named.get('options', '')}".rstrip()
    bounded = {**_CONNECTION, **named, "options": options}
    bounded["connect_timeout"] = min(int(bounded["connect_timeout"]) or left, left)
    return bounded


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        hide_parameters=True,
        pool_size=1,
        max_overflow=0,
        pool_timeout=STATEMENT_TIMEOUT_S,
        connect_args={"timeout": LOCK_TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "do_connect", _look_for_file)
    event.listen(engine, "connect", _be_durable)
    event.listen(engine, "begin", begin_immediate)
    return engine


def _look_for_file(
    _dialect: Dialect, _entry: ConnectionPoolEntry, arguments: Sequence[str], _named: object
) -> None:
    """Refuse a missing file, since SQLite would make one; :func:`make_file` makes it."""
    if not Path(arguments[0]).exists():
        raise StoreError(f"The database {arguments[0]} does not exist.")


def make_file(path: str) -> None:
    """Have a file, if there is none, that other users cannot read: it holds accounts' keys.

    Raises:
        StoreError: It cannot be made.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return  # and is not opened: to close it again would take SQLite's locks away
    except OSError as error:
        raise StoreError(f"The database {path} cannot be created: {error.strerror}.") from None


def _be_durable(connection: SQLiteConnection, _entry: ConnectionPoolEntry) -> None:
    """Make commits durable, also when the power fails."""
    # The module would begin transactions at the first INSERT only; we say when.
    connection.isolation_level = None
    connection.text_factory = text_or_bytes
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    # Pages as they were before a savepoint: else they are written to a file for each of them.
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")


def text_or_bytes(column: bytes) -> str | bytes:
    """A text of SQLite; one that is no UTF-8 stays bytes, and fails as the row it is in is read."""
    try:
        return column.decode()
    except UnicodeDecodeError:
        return column


def begin_immediate(connection: Connection) -> None:
    """Take the lock to write at once: taken later it could not be waited for."""
    if not sqlite_connection(connection).in_transaction:  # as in :func:`transaction`
        connection.exec_driver_sql("BEGIN IMMEDIATE")


__all__ = [
    "CHECKPOINT_PAGES",
    "WRITER_CACHE_KIB",
    "begin_immediate",
    "database_errors",
    "make_engine",
    "make_file",
    "parse_url",
    "sqlite_connection",
    "store_error",
    "text_or_bytes",
    "transaction",
]
