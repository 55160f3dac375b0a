"""StoredSizes: how much the database holds of each kind, measured in bounded time."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import NamedTuple

from sqlalchemy import Connection, text
from twisted.internet.interfaces import IReactorTime

from xmppd.host.locks import Locks
from xmppd.store.database import Database
from xmppd.store.engine import sqlite_connection

GOOD_FOR_S = 60.0
"""The time for which what was measured is good enough."""

MAX_PAGES = 2_000
"""Pages of one tree of SQLite that are looked at, 8 MB as a rule; how many more there are follows
from how far along the tree these have led.
"""

SLICE_S = 0.02
"""For so long SQLite's one writer measures before it does what others wait for."""

KINDS: Mapping[str, str] = {
    "accounts": "accounts",
    "api_keys": "keys",
    "audit": "audit",
    "claim_tokens": "other",
    "devices": "devices",
    "former_accounts": "accounts",
    "held_messages": "sessions",
    "items": "values of accounts and plugins",
    "jobs": "jobs",
    "last_presences": "last presences",
    "offline_messages": "offline messages",
    "plugin_schemas": "other",
    "quarantine": "quarantine",
    "readings": "readings",
    "roster_items": "rosters",
    "roster_versions": "rosters",
    "scram_keys": "accounts",
    "sessions": "sessions",
    "shared_group_members": "shared groups",
    "shared_groups": "shared groups",
    "usage": "other",
}
"""The server's own tables, by what people call the records in them; those of a plugin have its
name.
"""

BESIDE = frozenset(
    ("former_accounts", "held_messages", "roster_versions", "scram_keys", "shared_group_members")
)
"""Tables of ours whose rows are not counted: of their kind there is another one that is."""

_OTHER = "other"
_PLUGINS = text("SELECT plugin FROM plugin_schemas")
_TABLES_OF_SERVER = text(
    "SELECT s.relname, greatest(s.n_live_tup, c.reltuples)::bigint,"
    " pg_total_relation_size(s.relid) FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid"
    " WHERE s.schemaname = current_schema()"
)
_HAS_DBSTAT = text("SELECT count(*) FROM pragma_module_list WHERE name = 'dbstat'")
_TREES_OF_FILE = text(
    "SELECT s.name, s.tbl_name, s.type = 'table', l.wr FROM sqlite_schema s"
    " JOIN pragma_table_list l ON l.name = s.tbl_name AND l.schema = 'main' WHERE s.rootpage > 0"
)
_PAGES = "SELECT path, pagetype, ncell, pgsize FROM dbstat WHERE name = ?"
_USED = text(
    "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count,"
    " pragma_freelist_count, pragma_page_size"
)


class Size(NamedTuple):
    """How much something takes.

    Attributes:
        rows: Of tables, without those that only belong to others.
        bytes: With indexes.
        estimated: Whether not all of it was looked at.
    """

    rows: int = 0
    bytes: int = 0
    estimated: bool = False

    def plus(self, other: "Size") -> "Size":
        """Both together."""
        return Size(
            self.rows + other.rows, self.bytes + other.bytes, self.estimated or other.estimated
        )

    def times(self, factor: float) -> "Size":
        """With so many times the bytes."""
        return Size(self.rows, round(self.bytes * factor), self.estimated)


NOTHING = Size()


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree of pages in SQLite's file: a table or an index of one.

    Attributes:
        name: Its name.
        table: Whose it is.
        has_rows: Whether it is the table, and no index.
        without_rowid: Whether the table has rows in inner pages too.
    """

    name: str
    table: str
    has_rows: bool
    without_rowid: bool


class StoredSizes:
    """How much there is of each kind.

    Args:
        database: Has it.
        clock: The reactor's.
    """

    def __init__(self, database: Database, clock: IReactorTime) -> None:
        self._database = database
        self._clock = clock
        self._turns = Locks()
        self._measured_at: float | None = None
        self._sizes: Sequence[tuple[str, Size]] = ()

    async def by_kind(self) -> Sequence[tuple[str, Size]]:
        """Each kind with its size, the largest first; measured within the last minute.

        Nothing if SQLite was built without what measures its file.

        Raises:
            StoreError: The database cannot be read.
        """
        async with self._turns.held(self):  # who asks meanwhile gets what is measured already
            now = self._clock.seconds()
            if self._measured_at is None or now - self._measured_at >= GOOD_FOR_S:
                self._sizes = await self._measure()
                self._measured_at = now
            return self._sizes

    async def _measure(self) -> Sequence[tuple[str, Size]]:
        plugins, sizes, trees = await self._database.write(_begin)
        if trees:
            while trees:
                found, trees = await self._database.write(partial(_some, trees=trees))
                sizes = [*sizes, *found]
            sizes = _fitting(sizes, await self._database.write(_used))
        kinds: dict[str, Size] = {}
        for table, size in sizes:
            kind = kind_of(table, plugins)
            counted = size._replace(rows=0) if table in BESIDE else size
            kinds[kind] = kinds.get(kind, NOTHING).plus(counted)
        return sorted(kinds.items(), key=lambda each: (-each[1].bytes, each[0]))


def kind_of(table: str, plugins: Iterable[str]) -> str:
    """What the records of a table are.

    Args:
        table: Its name.
        plugins: Those that have tables, whose names begin with the plugin's.
    """
    found = [each for each in plugins if table == each or table.startswith(f"{each}_")]
    return KINDS.get(table) or max(found, key=len, default=_OTHER)


Sizes = list[tuple[str, Size]]


def _begin(connection: Connection) -> tuple[list[str], Sizes, list[_Tree]]:
    """The plugins that have tables; the sizes of all tables, or the trees to be measured."""
    plugins = [row[0] for row in connection.execute(_PLUGINS)]
    if connection.dialect.name != "sqlite":
        rows = connection.execute(_TABLES_OF_SERVER)
        return plugins, [(name, Size(max(0, count), size, True)) for name, count, size in rows], []
    if not connection.execute(_HAS_DBSTAT).scalar_one():
        return plugins, [], []
    trees = [_Tree(*row) for row in connection.execute(_TREES_OF_FILE)]
    return plugins, [], trees


def _used(connection: Connection) -> int:
    """The bytes of the pages of SQLite's file that have something."""
    used: int = connection.execute(_USED).scalar_one()
    return used


def _fitting(sizes: Sizes, used: int) -> Sizes:
    """The sizes, of which those that are estimated come together to what is left of the whole."""
    known = sum(size.bytes for _, size in sizes if not size.estimated)
    estimated = sum(size.bytes for _, size in sizes if size.estimated)
    if not estimated:
        return sizes
    factor = max(0, used - known) / estimated
    return [(table, size.times(factor) if size.estimated else size) for table, size in sizes]


def _some(connection: Connection, trees: list[_Tree]) -> tuple[Sizes, list[_Tree]]:
    """The sizes of the first trees, as many as there is time for, and the trees that are left."""
    sizes: Sizes = []
    until = monotonic() + SLICE_S
    for done, tree in enumerate(trees, 1):
        sizes.append((tree.table, _size_of(connection, tree)))
        if monotonic() > until:
            return sizes, trees[done:]
    return sizes, []


def _size_of(connection: Connection, tree: _Tree) -> Size:
    """The size of a tree, of which only the beginning is looked at if it is large."""
    rows = size = 0
    children: dict[int, int] = {}
    pages = sqlite_connection(connection).execute(_PAGES, (tree.name,))
    for looked_at, (path, kind, cells, page_bytes) in enumerate(pages):
        if looked_at == MAX_PAGES:
            pages.close()
            part = _part_before(path, children)
            return Size(round(rows / part), round(size / part), True)
        size += page_bytes
        if kind == "internal":
            children[path.count("/") - 1] = cells + 1
        if tree.has_rows and (kind == "leaf" or (kind == "internal" and tree.without_rowid)):
            rows += cells
    return Size(rows, size)


def _part_before(path: str, children: Mapping[int, int]) -> float:
    """The part of a tree that comes before a page.

    Args:
        path: From the root: the number of a child at each step, in hexadecimal; what comes behind
            a ``+`` is an overflow of the page.
        children: Those of the pages on the path, by their depth.
    """
    part, width = 0.0, 1.0
    for depth, step in enumerate(filter(None, path.partition("+")[0].split("/"))):
        width /= children[depth]
        part += int(step, 16) * width
    return part or width


__all__ = ["BESIDE", "GOOD_FOR_S", "KINDS", "MAX_PAGES", "Size", "StoredSizes", "kind_of"]
