"""No call on the database takes for ever: not for who asks, and not for the thread that asks it."""

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
"""How long a call may take, the wait for a thread included: then its thread gives up."""

GRACE_S = 2.0
"""How much later nobody waits any more for a thread that cannot give up."""

T = TypeVar("T")
_thread = local()


@contextmanager
def until(moment: float) -> Iterator[None]:
    """What this thread waits for, it waits for until then (on the monotonic clock)."""
    _thread.until = moment
    try:
        yield
    finally:
        del _thread.until


def left_s() -> float:
    """How long this thread may still wait; for ever, if nobody has said otherwise."""
    moment: float = getattr(_thread, "until", float("inf"))
    return moment - monotonic()


async def in_time(answer: Deferred[T], clock: IReactorTime, limit_s: float) -> T:
    """The answer, if it comes in time; when it comes later, nobody hears of it.

    Raises:
        StoreError: It does not.
    """
    try:
        return await answer.addTimeout(limit_s, clock)
    except NotInTime as error:
        raise StoreError(f"The database has not answered for {limit_s:.0f} s.") from error


__all__ = ["CALL_LIMIT_S", "GRACE_S", "in_time", "left_s", "until"]
