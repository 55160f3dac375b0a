"""Backup: a database in SQLite as one consistent file, while a server may use it."""

import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from xmppd.store.engine import LOCK_TIMEOUT_S, parse_url, store_error
from xmppd.store.errors import StoreError


def back_up(url: str, target: Path) -> None:
    """Write everything that is committed into a new file, which only its owner can read. The server
    goes on meanwhile; what it writes is not in there.

    Args:
        url: Of the database.
        target: The file. It has its name only when it is whole.

    Raises:
        FileExistsError: It is there already.
        OSError: It cannot be written.
        StoreError: The database cannot be read, or is damaged, or is none in SQLite.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        raise StoreError("PostgreSQL has its own backup, which is consistent too: use pg_dump")
    if target.exists():
        raise FileExistsError(f"{target} already exists")
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_opened(parsed.database or "", "ro")) as source:
            _copy(source, part)
        _sync(part)
        part.rename(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise store_error(parsed, error) from error
    finally:
        with suppress(FileNotFoundError):
            part.unlink()


def _copy(source: sqlite3.Connection, part: Path) -> None:
    with closing(_opened(str(part), "rw")) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, with nothing beside it
        ((said,),) = copy.execute("PRAGMA quick_check(1)").fetchall()
    if said != "ok":
        raise StoreError(f"The database is damaged ({said}), so no backup was written")


def _opened(path: str, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(path)}?mode={mode}", uri=True, timeout=LOCK_TIMEOUT_S)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


__all__ = ["back_up"]
