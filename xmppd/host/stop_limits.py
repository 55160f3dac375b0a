"""StopLimits: a stop waits for each of its steps, and for none without end."""

from collections.abc import Awaitable
from enum import Enum

from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

_log = Logger()


class StopLimits(Enum):
    """The times after which a stop waits no more, in seconds since it began (ST-7).

    Stanzas of a client may wait for the store as long as one of its calls may take.
    """

    CLIENTS = "closing the streams of clients", 7.0
    STANZAS = "handling stanzas that clients had sent", 13.0
    PEERS = "closing the streams of servers and components", 18.0
    WEB = "answering HTTP requests", 19.0
    SESSIONS = "saving sessions", 25.0
    NODES = "leaving the cluster", 26.0
    PLUGINS = "unloading plugins", 27.0
    STORE = "closing the database", 28.0
    LINKS = "closing connections with other nodes and Redis", 5.0
    """Counted from where that begins, since it is the last step."""

    def __init__(self, what: str, seconds: float) -> None:
        self.what = what
        self.seconds = seconds


async def until(
    clock: IReactorTime, limit: StopLimits, began: float, work: Awaitable[None]
) -> None:
    """Wait for something for a limited time, and then leave it.

    Args:
        clock: The reactor's.
        limit: The step of the stop, and its end.
        began: The time when the stop began, on the clock.
        work: The step itself.
    """

    async def do() -> None:
        await work

    over = Deferred[None]()
    left_s = max(0.0, began + limit.seconds - clock.seconds())
    timer = clock.callLater(left_s, over.callback, None)
    doing = Deferred.fromCoroutine(do())
    try:
        await DeferredList(
            (doing, over), fireOnOneCallback=True, fireOnOneErrback=True, consumeErrors=True
        )
    except FirstError as error:
        error.subFailure.raiseException()
    finally:
        if timer.active():
            timer.cancel()
    if not doing.called:
        _log.warn(
            "{what} took more than {s:.0f} s; the server continues to stop without waiting for it",
            what=limit.what, s=limit.seconds,
        )  # fmt: skip


__all__ = ["StopLimits", "until"]
