"""Readable records: those that cannot be read are set aside, and stop nothing else (QT-1).

Code that looks into the store's records does it through :func:`readable`: those that can be read
are returned, and the others are moved to the store's quarantine, where an administrator finds them.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

from twisted.logger import Logger

from xmppd.store.errors import StoreError, Unreadable
from xmppd.store.kind import Damaged, Fragment, Record

MAX_NAMED_AT_ONCE = 20
"""Records that the log names one by one when many are set aside at the same time."""

MAX_LINE_LENGTH = 200
"""Of an entry's reason, in characters."""

R = TypeVar("R", bound=Record | Fragment)
V = TypeVar("V")
_log = Logger()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that was set aside.

    Attributes:
        number: Given by the store, rising.
        kind: Its kind, such as ``offline message``.
        account: Its account, or another name that it belonged to; empty if that is not known.
        name: Tells it from others of the account.
        reason: The reason why it could not be read.
        since: The time when that was noticed, in seconds since 1970.
        size_bytes: The bytes that it takes.
    """

    number: int
    kind: str
    account: str
    name: str
    reason: str
    since: float
    size_bytes: int


class Quarantine(Protocol):
    """A quarantine, where records that cannot be read go: there they stop nothing, and are not
    lost.
    """

    async def set_aside(self, account: str, damaged: Sequence[Damaged]) -> list[Quarantined]:
        """Move records to the quarantine, in one transaction.

        A record that has been replaced since it was read stays where it is, and what is there
        already is not kept twice. When there is no more room the oldest make way.

        Args:
            account: Of the records.
            damaged: A record of which a field alone is wrong stays, without it.

        Returns:
            The records that were moved.
        """


async def readable(
    store: Quarantine,
    account: str,
    records: Iterable[R],
    read: Callable[[R], V],
    *,
    instead: Callable[[R], V] | None = None,
) -> list[V]:
    """The readable ones of these records, in their order; the others are set aside.

    Args:
        store: Has the quarantine.
        account: Their account, a bare JID, or another name that they belong to.
        records: As the store gave them.
        read: As for :func:`sift`.
        instead: The same.
    """
    values, damaged = sift(records, read, instead=instead)
    if damaged:
        await set_aside(store, account, damaged)
    return values


def sift(
    records: Iterable[R], read: Callable[[R], V], *, instead: Callable[[R], V] | None = None
) -> tuple[list[V], list[Damaged]]:
    """The readable ones of these records, and the others, which the caller has to set aside.

    Args:
        records: As the store gave them.
        read: Reads a record. If it raises, the record is bad; the ``rest`` of an
            :class:`~xmppd.store.errors.Unreadable` is taken in its place.
        instead: Makes a replacement for any other one that is bad; None for none.
    """
    values: list[V] = []
    damaged: list[Damaged] = []
    for record in records:
        try:
            values.append(read(record))
        except MemoryError:
            raise  # the record is not the cause
        except Exception as error:
            damaged.append(Damaged(record, reason(error), getattr(error, "field", "")))
            if isinstance(error, Unreadable) and error.rest is not None:
                values.append(cast(V, error.rest))
            elif instead is not None:
                values.append(instead(record))
    return values, damaged


async def set_aside(store: Quarantine, account: str, damaged: Sequence[Damaged]) -> None:
    """Move records to the quarantine, and log it; if that fails they are found another day."""
    try:
        report(await store.set_aside(account, damaged))
    except StoreError as error:
        _log.error(
            "unreadable records of {account} that could not be moved to quarantine: {count}: "
            "{error}",
            count=len(damaged), account=account or "the server", error=error,
        )  # fmt: skip


def report(moved: Sequence[Quarantined]) -> None:
    """Log which records were set aside."""
    for entry in moved[:MAX_NAMED_AT_ONCE]:
        _log.warn(
            "moved an unreadable record to quarantine: {kind} {name} of {account}: {reason} "
            "(xmppctl db quarantine show {number})",
            kind=entry.kind, name=entry.name, account=entry.account or "the server",
            reason=entry.reason, number=entry.number,
        )  # fmt: skip
    if len(moved) > MAX_NAMED_AT_ONCE:
        _log.warn(
            "more records moved to quarantine: {count} (xmppctl db quarantine list)",
            count=len(moved) - MAX_NAMED_AT_ONCE,
        )


def reason(error: Exception) -> str:
    """The reason why a record cannot be read, in one line."""
    known = isinstance(error, Unreadable)
    return in_a_line(str(error) if known else f"{type(error).__name__}: {error}")


def in_a_line(text: str) -> str:
    """A text for a list or the log: printable, and not too long."""
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return plain[:MAX_LINE_LENGTH]


__all__ = [
    "MAX_NAMED_AT_ONCE",
    "Quarantine",
    "Quarantined",
    "in_a_line",
    "readable",
    "reason",
    "report",
    "set_aside",
    "sift",
]
