"""Database: the interface that the store needs, whichever database it is."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Select, Table

from xmppd.store.limits import CALL_LIMIT_S

T = TypeVar("T")
Columns = TypeVarTuple("Columns")

Parameters = Mapping[str, object]


class NewRows(NamedTuple):
    """NewRows to be appended to a table.

    Attributes:
        table: That table.
        rows: Each has a value for every column, in the table's order.
        often_there: Whether many of them are in the table already.
    """

    table: Table
    rows: Sequence[tuple[object, ...]]
    often_there: bool = False


def no_check() -> None:
    """Do nothing: they may be written."""


class Database(Protocol):
    """A database, for queries and changes.

    Attributes:
        alone: Whether no other process writes to it, so that results may be kept, and changes are
            made in their order.
        shared: Whether other nodes of the service write to it: what is in memory of an account that
            has no session here is old as soon as it was read.
    """

    alone: bool
    shared: bool

    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        """Keep other servers out, make or check the tables, and be ready.

        Args:
            upgrade: Whether older tables may be brought up to date.
            may_create: Whether it may be made, with tables, if it is not there (ST-6).

        Raises:
            StoreError: It cannot be used.
        """

    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        """The rows of a query.

        Raises:
            StoreError: There are none within the time that a call may take (ST-1).
        """

    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        """Make a change; returns its result, once it is committed.

        Args:
            change: Is called in a thread.
            limit_s: The time that it may take.

        Raises:
            StoreError: It could not be written, or not in time: then it may have been all the same.
        """

    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        """Append rows to tables, all in one transaction of their own; returns once it is committed.

        The way for what is written at the rate of messages: a row has no savepoint, and nothing is
        computed for it. One whose key is in the table already is left out, so that rows of which it
        is not known whether they were written may be appended again.

        Args:
            parts: The rows, table by table.
            check: Called in a thread before anything is written; it may raise a StoreError.
            limit_s: The time that it may take.

        Raises:
            StoreError: They could not be written, or not in time: then they may have been all the
                same.
        """

    def free_bytes(self) -> float:
        """The room on the disk that it is on; infinite if that is not this machine's.

        Raises:
            StoreError: The disk cannot be asked.
        """

    async def close(self) -> None:
        """Finish all calls under way, and close the database.

        Raises:
            StoreError: A call under way does not end.
        """


@lru_cache(maxsize=64)
def appending(table: Table, place: str = "?", rows: int = 1) -> str:
    """The INSERT of :meth:`Database.append` in SQL, which leaves out rows that are there already.

    Args:
        table: That is written.
        place: How the database's driver writes the place of a value.
        rows: The number of rows that it takes at once.
    """
    names = ", ".join(table.c.keys())
    row = f"({', '.join([place] * len(table.c))})"
    into = f"INSERT INTO {table.name} ({names})"  # names of ours
    return f"{into} VALUES {', '.join([row] * rows)} ON CONFLICT DO NOTHING"


__all__ = ["Columns", "Database", "NewRows", "Parameters", "T", "appending", "no_check"]
