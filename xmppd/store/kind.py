"""Kinds of records: how one is known to be sound, where it is, and what it can do without."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection, Table


@dataclass(frozen=True, eq=False)
class Kind:
    """Records that are the rows of one table.

    Attributes:
        name: What an administrator calls one of them.
        table: Where they are.
        columns: What ``check`` gets.
        check: Raises :class:`~xmppd.store.errors.Unreadable` if a row is not sound.
        named_by: The columns that say which one it is.
        instead: What stands in a column that cannot be read, where a record can do without it.
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
    """Where a record is kept.

    Attributes:
        kind: What it is.
        key: The columns it is found by.
        content: Those by which it is itself, and no other that has taken its place.
    """

    kind: Kind
    key: Mapping[str, object]
    content: Mapping[str, object]


class Record(Protocol):
    """What a store keeps without looking inside, and whoever reads it may find unreadable."""

    def kept(self, account: str) -> RecordPlace:
        """Where it is, if it is this account's."""


@dataclass(frozen=True, slots=True)
class Fragment:
    """A part of a record that is kept in one piece: a stanza in the queue of a saved session.

    Attributes:
        kind: What it is, for an administrator.
        name: Which one.
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
        reason: Why, in one sentence.
        field: What alone of it is wrong; empty if nothing of the record can be used.
    """

    record: Record | Fragment
    reason: str
    field: str = ""


__all__ = ["Damaged", "Fragment", "Kind", "Record", "RecordPlace"]
