"""What the store needs of a database, whichever it is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar, TypeVarTuple

from sqlalchemy import Connection, Select

T = TypeVar("T")
Columns = TypeVarTuple("Columns")

Parameters = Mapping[str, object]


class Database(Protocol):
    """Rows out, changes in.

    Attributes:
        alone: Nobody else writes to it, so that what was read once may be kept.
    """

    alone: bool

    async def open(self, upgrade: bool) -> None:
        """Make or check the tables, and be ready.

        Raises:
            StoreError: It cannot be used.
        """

    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        """The rows of a query."""

    async def write(self, change: Callable[[Connection], T]) -> T:
        """What the change returns, once it is committed."""

    async def close(self) -> None:
        """Finish what is under way, and let go."""


__all__ = ["Columns", "Database", "Parameters", "T"]
