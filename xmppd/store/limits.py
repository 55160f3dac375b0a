"""Limits of time: no call on the database takes for ever, neither for its caller nor for its
thread.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import local
from time import monotonic
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as NotInTime
from twisted.internet.interfaces import IReactorTime

from xmppd.store.errors import StoreError

CALL_LIMIT_S = 10.0
"""The time that a call may take, with the wait for a thread: then its thread gives up."""

GRACE_S = 2.0
"""The time after which a thread that cannot give up is not waited for any more."""

T = TypeVar("T")
_thread = local()


@contextmanager
def until(moment: float) -> Iterator[None]:
    """A context in which this thread waits until then at most, on the monotonic clock."""
    _thread.until = moment
    try:
        yield
    finally:
        del _thread.until


def left_s() -> float:
    """The seconds that this thread may still wait; for ever without a limit."""
    moment: float = getattr(_thread, "until", float("inf"))
    return moment - monotonic()


async def in_time(answer: Deferred[T], clock: IReactorTime, limit_s: float) -> T:
    """The answer, if it comes in time; a later one is dropped.

    Raises:
        StoreError: It does not.
    """
    try:
        return await answer.addTimeout(limit_s, clock)
    except NotInTime as error:
        raise StoreError(f"The database has not answered for {limit_s:.0f} s.") from error


__all__ = ["CALL_LIMIT_S", "GRACE_S", "in_time", "left_s", "until"]
