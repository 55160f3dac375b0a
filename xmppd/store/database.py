"""What the store needs of a database, whichever it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Select

from xmppd.store.limits import CALL_LIMIT_S

T = TypeVar("T")
Columns = TypeVarTuple("Columns")

Parameters = Mapping[str, object]


class Database(Protocol):
    """Rows out, changes in.

    Attributes:
        alone: Nobody else writes to it, so that what was read once may be kept; and what is to be
            written first is.
    """

    alone: bool

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
        """What the change returns, once it is committed.

        Args:
            change: Is called in a thread.
            limit_s: How long it may take.

        Raises:
            StoreError: It could not be written, or not in time: then it may have been all the same.
        """

    async def close(self) -> None:
        """Finish what is under way, and let go.

        Raises:
            StoreError: Something under way does not come to an end.
        """


__all__ = ["Columns", "Database", "Parameters", "T"]
