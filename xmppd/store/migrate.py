"""Migration of a database to the schema of this version."""

from pathlib import Path
from typing import Protocol

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, Engine, text, update

from xmppd.store.engine import database_errors, make_engine, make_file, parse_url
from xmppd.store.errors import StoreError

NOT_NEW = (
    "this installation is not new, since its data directory has a secret: restore the database, "
    "name the right one, or have an empty one made with `xmppctl db upgrade`"
)
"""The end of the sentence that a database is missing or empty (ST-6)."""

COPYING = "copying"
"""The revision of a database while everything is being copied to it."""

SCRIPTS = "xmppd.store:migrations"
UPGRADE_TIMEOUT_S = 600

# Another node may be at it, and a large table takes its time. On SQLite the transaction does that.
_ONE_AT_A_TIME = (
    text(f"SET LOCAL lock_timeout = '{UPGRADE_TIMEOUT_S}s'"),
    text(f"SET LOCAL statement_timeout = '{UPGRADE_TIMEOUT_S}s'"),
    text("SELECT pg_advisory_xact_lock(5222)"),
)


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
    engine: Engine, *, upgrade: bool, may_create: bool = True, scripts: str = SCRIPTS
) -> None:
    """Make the tables if there are none; else check that they are of this version.

    All in one transaction and alone, since other nodes may be starting too.

    Args:
        engine: Of the database.
        upgrade: Whether older tables may be changed.
        may_create: Whether there may be none yet.
        scripts: The directory of Alembic's steps.

    Raises:
        StoreError: The database is unusable, or of another version.
    """
    config = _config(scripts)
    with database_errors(engine.url), engine.begin() as connection:
        be_alone(connection)
        if _must_upgrade(connection, ScriptDirectory.from_config(config), upgrade, may_create):
            config.attributes["connection"] = connection
            command.upgrade(config, "head")


def _config(scripts: str) -> Config:
    config = Config()
    config.set_main_option("script_location", scripts)
    config.set_main_option("path_separator", "os")
    return config


def be_alone(connection: Connection) -> None:
    """Wait until nobody else changes tables, and have time enough for that."""
    if connection.dialect.name == "postgresql":
        for statement in _ONE_AT_A_TIME:
            connection.execute(statement)


def _must_upgrade(
    connection: Connection, known: ScriptDirectory, allowed: bool, may_create: bool
) -> bool:
    found = revision_of(connection)
    if found == known.get_current_head():
        return False
    name = shown(connection.engine.url)
    if found is None and not may_create:
        raise StoreError(f"The database {name} is empty; {NOT_NEW}.")
    if found is None:
        return True
    if found == COPYING:
        raise StoreError(
            f"The database {name} is a copy that was not finished: run `xmppctl db copy` again."
        )
    if found not in {script.revision for script in known.walk_revisions()}:
        raise StoreError(
            f"The database {name} has schema {found}, which this version of xmppd does not know."
        )
    if not allowed:
        raise StoreError(
            f"The database {name} has the older schema {found}: run `xmppctl db upgrade`."
        )
    return True


def revision_of(connection: Connection) -> str | None:
    """The revision of the tables; None if there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def write_revision(connection: Connection, revision: str = "") -> None:
    """Say that the tables are of some revision; of this version, if none is given."""
    context = MigrationContext.configure(connection)
    newest = ScriptDirectory.from_config(_config(SCRIPTS)).get_current_head() or ""
    connection.execute(update(context._version).values(version_num=revision or newest))


def shown(url: URL) -> str:
    """A URL for an administrator, without its password."""
    return url.render_as_string(hide_password=True)


__all__ = [
    "COPYING",
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
