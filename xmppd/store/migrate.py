"""Migration of a database to the schema of this version."""

from pathlib import Path
from typing import Protocol

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    MetaData,
    String,
    Table,
    inspect,
    select,
    text,
    update,
)

from xmppd.store.engine import database_errors, make_engine, make_file, parse_url
from xmppd.store.errors import StoreError

NOT_NEW = (
    "this server must have run before (its data directory has the file secret): restore the "
    "database, correct storage.url, or create an empty database with `xmppctl db upgrade`"
)
"""The end of the sentence that a database is missing or empty (ST-6)."""

COPYING = "copying"
"""The revision of a database while everything is being copied to it."""

SCRIPTS = "xmppd.store:migrations"
NEWEST = "0017"
"""The revision that the last of them leads to."""

REVISION_TABLE = "alembic_version"
UPGRADE_TIMEOUT_S = 600

# Another node may be at it, and a large table takes its time. On SQLite the transaction does that.
_ONE_AT_A_TIME = (
    text(f"SET LOCAL lock_timeout = '{UPGRADE_TIMEOUT_S}s'"),
    text(f"SET LOCAL statement_timeout = '{UPGRADE_TIMEOUT_S}s'"),
    text("SELECT pg_advisory_xact_lock(5222)"),
)

_revisions = Table(REVISION_TABLE, MetaData(), Column("version_num", String(32), nullable=False))


class Prepare(Protocol):
    """What makes or checks tables when a database is opened."""

    def __call__(self, engine: Engine, /, *, upgrade: bool, may_create: bool = True) -> None:
        """Do it: see :func:`prepare`."""


def upgrade(url: str) -> str | None:
    """Bring a database to the schema of this version; returns the revision it had.

    Raises:
        StoreError: It is unreachable, unwritable or newer than this version.
    """
    found = current_revision(url)
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        make_file(parsed.database or "")
    engine = make_engine(parsed)
    try:
        prepare(engine, upgrade=True)
        return found
    finally:
        engine.dispose()


def current_revision(url: str) -> str | None:
    """The revision a database has; None if it is empty, or a file that is not there.

    Raises:
        StoreError: It is unreachable.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").exists():
        return None
    engine = make_engine(parsed)
    try:
        with database_errors(parsed), engine.connect() as connection:
            return revision_of(connection)
    finally:
        engine.dispose()


def prepare(
    engine: Engine,
    *,
    upgrade: bool,
    may_create: bool = True,
    scripts: str = SCRIPTS,
    newest: str = NEWEST,
) -> None:
    """Make the tables if there are none; else check that they are of this version.

    All in one transaction and alone, since other nodes may be starting too.

    Args:
        engine: Of the database.
        upgrade: Whether older tables may be changed.
        may_create: Whether there may be none yet.
        scripts: The directory of Alembic's steps.
        newest: The revision that these lead to.

    Raises:
        StoreError: The database is unusable, or of another version.
    """
    with database_errors(engine.url), engine.begin() as connection:
        be_alone(connection)
        found = revision_of(connection)
        if found != newest:
            from xmppd.store import steps

            name = shown(engine.url)
            if found is None and not may_create:
                raise StoreError(f"The database {name} is empty; {NOT_NEW}.")
            if found == COPYING:
                raise StoreError(
                    f"The database {name} is a copy that was not finished: run `xmppctl db copy` "
                    "again."
                )
            if found is not None and not steps.knows(scripts, found):
                raise StoreError(
                    f"The database {name} has schema {found}, which this version of xmppd does "
                    "not know."
                )
            if found is not None and not upgrade:
                raise StoreError(
                    f"The database {name} has the older schema {found}: run `xmppctl db upgrade`."
                )
            steps.take(connection, scripts)


def be_alone(connection: Connection) -> None:
    """Wait until nobody else changes tables, and have time enough for that."""
    if connection.dialect.name == "postgresql":
        for statement in _ONE_AT_A_TIME:
            connection.execute(statement)


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none."""
    if not inspect(connection).has_table(REVISION_TABLE):
        return None
    return connection.execute(select(_revisions.c.version_num)).scalar()


def write_revision(connection: Connection, revision: str = NEWEST) -> None:
    """Say that the tables are of some revision; of this version, if none is given."""
    connection.execute(update(_revisions).values(version_num=revision))


def shown(url: URL) -> str:
    """A URL for an administrator, as the configuration has it, without its password."""
    return url.set(drivername=url.get_backend_name()).render_as_string(hide_password=True)


__all__ = [
    "COPYING",
    "NEWEST",
    "REVISION_TABLE",
    "UPGRADE_TIMEOUT_S",
    "Prepare",
    "be_alone",
    "current_revision",
    "prepare",
    "revision_of",
    "shown",
    "upgrade",
    "write_revision",
]
