"""The machine a server runs on, as far as the server asks: time, threads, and its own secret."""

import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, metadata
from typing import ParamSpec, TypeVar

from twisted.internet.interfaces import (
    IReactorCore,
    IReactorFromThreads,
    IReactorTime,
    IReactorUNIX,
)
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class IReactor(IReactorCore, IReactorTime, IReactorFromThreads, IReactorUNIX):
    """What we use of Twisted's reactor; all that run on a Unix provide it."""


class Machine:
    """What :class:`~xmppd.server.XMPPServer` takes from outside.

    As many threads as there are cores compute passwords. At most one call for each stream waits for
    them, and those are counted at the door.

    Attributes:
        clock: The reactor's time.
        secret: This installation's own.
    """

    def __init__(self, reactor: IReactor, secret: bytes) -> None:
        self.clock: IReactorTime = reactor
        self.secret = secret
        self._reactor = reactor
        self._threads = ThreadPool(0, os.cpu_count() or 1, name="xmppd-passwords")
        self._threads.start()

    def wall_clock(self) -> float:
        """Seconds since 1970."""
        return time.time()

    async def run_in_thread(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What the function returns, computed beside the reactor."""
        return await deferToThreadPool(self._reactor, self._threads, function, *args, **kwargs)

    def stop(self) -> None:
        """Let the threads go."""
        self._threads.stop()


def version() -> str:
    """The version of xmppd that is installed."""
    try:
        return metadata("xmppd")["Version"]
    except PackageNotFoundError:
        return "from a checkout"


__all__ = ["IReactor", "Machine", "version"]
