"""Kinds of records: their tables, their checks, and the columns they can do without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection, Table


@dataclass(frozen=True, eq=False)
class Kind:
    """Records that are the rows of one table.

    Attributes:
        name: The administrator's word for one of them.
        table: Of their rows.
        columns: The arguments of ``check``.
        check: Raises :class:`~xmppd.store.errors.Unreadable` if a row is not sound.
        named_by: The columns that identify one.
        instead: The value for a column that cannot be read, where a record can do without it.
        moved: Called with the owner when one of them was set aside, or a column of it.
    """

    name: str
    table: Table
    columns: tuple[str, ...]
    check: Callable[..., object]
    named_by: tuple[str, ...] = ()
    instead: Mapping[str, object] = field(default_factory=dict)
    moved: Callable[[Connection, bytes], object] | None = None


@dataclass(frozen=True)
class RecordPlace:
    """The row of a record.

    Attributes:
        kind: Of the record.
        key: The columns by which it is found.
        content: The columns that tell it from another that has taken its place.
    """

    kind: Kind
    key: Mapping[str, object]
    content: Mapping[str, object]


class Record(Protocol):
    """A record that the store keeps as it is, and that its reader may find unreadable."""

    def kept(self, account: str) -> RecordPlace:
        """Its row, if it is this account's."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a record that is kept in one piece: a stanza in the queue of a saved session.

    Attributes:
        kind: Its kind, for an administrator.
        name: Tells it from others.
        data: Its bytes.
    """

    kind: str
    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that cannot be read.

    Attributes:
        record: As the store gave it.
        reason: In one sentence.
        field: The only part that is wrong; empty if the record cannot be used at all.
    """

    record: Record | Fragment
    reason: str
    field: str = ""


__all__ = ["Damaged", "Fragment", "Kind", "Record", "RecordPlace"]
