"""SQLSource: the database of another server, as readers ask it."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from xmppd.migration.person import SourceError
from xmppd.store.errors import StoreError
from xmppd.store.foreign_database import URL_SUFFIX, ForeignDatabase

ROWS_AT_ONCE = 1_000
LONG_ROWS_AT_ONCE = 100
"""Of messages and the like."""

MAX_ROWS = 100_000
"""Of one person in one table, where they are not read in pages."""

_SQLITE = b"SQLite format 3\0"

Row = tuple[object, ...]


class SQLSource:
    """Tables, some of which may not be there, since that depends on the version, or be empty.

    Args:
        source: As for :class:`~xmppd.store.foreign_database.ForeignDatabase`.
        opened: As there.
    """

    def __init__(self, source: Path, opened: sqlite3.Connection | None = None) -> None:
        self._database = ForeignDatabase(source, opened)
        self._columns: dict[str, frozenset[str]] = {}
        self._has: dict[str, bool] = {}

    def close(self) -> None:
        """Be done with it."""
        self._database.close()

    def rows(self, query: str, **values: object) -> Sequence[Row]:
        """The rows of a query.

        Raises:
            SourceError: There are none, or more than may be in memory.
        """
        is_page = " LIMIT " in query
        try:
            found = self._database.rows(
                query if is_page else f"{query} LIMIT {MAX_ROWS + 1}", **values
            )
        except StoreError as error:
            raise SourceError(str(error)) from error
        if not is_page and len(found) > MAX_ROWS:
            of = ", ".join(f"{name} {value!r}" for name, value in values.items())
            raise SourceError(f"more than {MAX_ROWS} rows for {of}, in answer to: {query}")
        return found

    def columns(self, table: str) -> frozenset[str]:
        """The columns of a table; none if it is not there."""
        if table not in self._columns:
            try:
                self._columns[table] = self._database.columns(table)
            except StoreError as error:
                raise SourceError(str(error)) from error
        return self._columns[table]

    def has(self, table: str) -> bool:
        """Whether a table is there and has something."""
        if table not in self._has:
            self._has[table] = bool(
                self.columns(table) and self.rows(f"SELECT 1 FROM {table} LIMIT 1")
            )
        return self._has[table]

    def chosen(self, table: str, names: Sequence[str]) -> str:
        """Columns of a table for a query, NULL for those that it does not have."""
        there = self.columns(table)
        return ", ".join(_named(name) if name.lower() in there else "NULL" for name in names)


def _named(column: str) -> str:
    """A column in a query; ``list`` is a word of some databases."""
    return '"list"' if column == "list" else column


def is_database(path: Path) -> bool:
    """Whether a file is one of SQLite, or names a database."""
    if path.suffix == URL_SUFFIX:
        return True
    try:
        with path.open("rb") as file:
            return file.read(len(_SQLITE)) == _SQLITE
    except OSError:
        return False


def sound_text(value: object) -> str:
    """A text, which some databases keep as bytes.

    Raises:
        ValueError: It is not UTF-8.
    """
    try:
        text = value.decode() if isinstance(value, bytes) else str(value)
        text.encode()
    except UnicodeError as error:
        raise ValueError("not valid UTF-8") from error
    return text


def pages(ask: Callable[[Row | None], Sequence[Row]]) -> Iterator[Row]:
    """All rows, a page after the other.

    Args:
        ask: The page behind a row, or the first one.
    """
    page = ask(None)
    while page:
        yield from page
        page = ask(page[-1])


__all__ = [
    "LONG_ROWS_AT_ONCE",
    "ROWS_AT_ONCE",
    "Row",
    "SQLSource",
    "is_database",
    "pages",
    "sound_text",
]
