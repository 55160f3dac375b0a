"""Repeatedly: what a plugin does from time to time."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.plugin.place import AtUnload
from xmppd.stanza import Later

_log = Logger()


def repeatedly(
    work: Callable[[], Later],
    every_s: float,
    clock: IReactorTime,
    *,
    first_s: float | None = None,
) -> AtUnload:
    """Something that is done again and again until the plugin goes; where it fails, that is logged,
    and it is tried again at its next time.

    Args:
        work: Does it; what takes longer than the time to the next one leaves that out.
        every_s: The seconds from one time to the next.
        clock: The reactor's.
        first_s: The seconds until the first time; None for as many as from one to the next.
    """

    def turn() -> Deferred[None]:
        return Deferred.fromCoroutine(_do(work)).addErrback(_failed)

    loop = LoopingCall(turn)
    loop.clock = clock
    first = clock.callLater(every_s if first_s is None else first_s, loop.start, every_s)

    def stop() -> None:
        if first.active():
            first.cancel()
        elif loop.running:
            loop.stop()

    return AtUnload(stop)


async def _do(work: Callable[[], Later]) -> None:
    later = work()
    if later is not None:
        await later


def _failed(failure: Failure) -> None:
    _log.failure("a plugin's periodic task failed; it runs again later", failure)


__all__ = ["repeatedly"]
