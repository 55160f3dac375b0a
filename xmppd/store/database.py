"""Database: the interface that the store needs, whichever database it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Select

from xmppd.store.limits import CALL_LIMIT_S

T = TypeVar("T")
Columns = TypeVarTuple("Columns")

Parameters = Mapping[str, object]


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

    async def close(self) -> None:
        """Finish all calls under way, and close the database.

        Raises:
            StoreError: A call under way does not end.
        """


__all__ = ["Columns", "Database", "Parameters", "T"]
