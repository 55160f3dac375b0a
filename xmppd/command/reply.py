"""Reply: what a command answers, rows of a table or sentences."""

from collections.abc import AsyncGenerator
from typing import Any, ClassVar, TypeAlias

from msgspec import Struct, to_builtins


class Row(Struct, frozen=True):
    """One row of a command's answer; its fields are the columns, with units in their names.

    Attributes:
        least: Columns that a narrow terminal leaves out, the least important first; when they are
            gone, the last ones follow.
    """

    least: ClassVar[tuple[str, ...]] = ()


class RowOfNode(Row, frozen=True):
    """A row that one of several nodes has."""

    node: str
    row: Row


def columns_of(row: Row) -> dict[str, Any]:
    """The columns of a row, by name; its node, if there are several, is the first."""
    if isinstance(row, RowOfNode):
        return {"node": row.node, **columns_of(row.row)}
    columns: dict[str, Any] = to_builtins(row)
    return columns


Reply: TypeAlias = Row | str
"""A row of a table, or a sentence about what was done."""

Replies: TypeAlias = AsyncGenerator[Reply, None]
"""What a command answers, as it comes."""
