"""Databases of other servers, for people to move out of."""

from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    BigInteger,
    Column,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    make_url,
)
from sqlalchemy.types import TypeEngine

from tests.unit.store.databases import execute

SCHEMAS = Path("/usr/share/ejabberd/sql")
"""Where Debian's ejabberd has the tables that it wants."""


def in_postgresql(url: str, schema: str, rows_of: Path) -> None:
    """Make ejabberd's tables in a new database, with rows that it has written itself.

    Args:
        url: Of the database.
        schema: The name of ejabberd's own script.
        rows_of: A file of SQLite, to which ejabberd has written.
    """
    execute(url, (SCHEMAS / schema).read_text())
    copy_rows(rows_of, make_url(url).set(drivername="postgresql+psycopg"))


def copy_rows(source: Path, target: URL) -> None:
    """Write the rows of one database into the tables of another one."""
    old, new = create_engine(f"sqlite:///{source}"), create_engine(target)
    metadata = MetaData()
    metadata.reflect(new)
    with old.connect() as reading, new.begin() as writing:
        there = {name for (name,) in reading.exec_driver_sql("SELECT name FROM sqlite_master")}
        for table in metadata.sorted_tables:
            if table.name in there:
                found = reading.exec_driver_sql(f"SELECT * FROM {table.name}")
                rows = [row._asdict() for row in found]
                if rows:
                    writing.execute(table.insert(), rows)
    old.dispose()
    new.dispose()


def copy_tables(source: Path, target: URL) -> None:
    """Make the tables of a file of SQLite in another database, and write their rows into them."""
    old, new = create_engine(f"sqlite:///{source}"), create_engine(target)
    there, here = MetaData(), MetaData()
    there.reflect(old)
    for table in there.sorted_tables:
        columns = (Column(each.name, _plain(each.type)) for each in table.columns)
        Table(table.name, here, *columns)
    here.create_all(new)
    for engine in (old, new):
        engine.dispose()
    copy_rows(source, target)


def _plain(type: TypeEngine[Any]) -> TypeEngine[Any]:
    return BigInteger() if isinstance(type, Integer) else Text()


def url_file(directory: Path, url: str) -> Path:
    """A file that names a database."""
    path = directory / "source.url"
    path.write_text(f"{url}\n")
    return path
