"""Threads of the store's own: those of the reactor are for names and files."""

from collections.abc import Callable
from functools import partial
from threading import Thread
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from xmppd.store.base import StoreError

MAX_WAITING_CALLS = 10_000

T = TypeVar("T")


class _Pool(ThreadPool):
    # A process that failed before it closed its store shall end all the same.
    threadFactory = staticmethod(partial(Thread, daemon=True))  # type: ignore[assignment]  # makes one


class Threads:
    """A bounded number of threads, and of calls that wait for one.

    Args:
        reactor: Where results arrive.
        size: How many threads.
        max_waiting_calls: With so many calls under way another one is refused.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        size: int,
        max_waiting_calls: int = MAX_WAITING_CALLS,
    ) -> None:
        self._reactor = reactor
        self._pool = _Pool(0, size, name="xmppd-store")
        self._max_waiting_calls = max_waiting_calls
        self._under_way = 0
        self._closing: Deferred[None] | None = None
        self._pool.start()

    async def run(self, call: Callable[[], T]) -> T:
        """What the call returns, when a thread has made it.

        Raises:
            StoreError: Too many calls wait, or the threads are gone.
        """
        if self._closing:
            raise StoreError("The store is closed.")
        if self._under_way >= self._max_waiting_calls:
            raise StoreError(f"The database is too slow: {self._under_way} calls wait for it.")
        self._under_way += 1
        try:
            return await deferToThreadPool(self._reactor, self._pool, call)
        finally:
            self._under_way -= 1
            if self._closing and not self._under_way:
                self._closing.callback(None)

    async def close(self) -> None:
        """Wait for what is under way, and let the threads go."""
        if self._closing is None:
            self._closing = Deferred()
            if self._under_way:
                await self._closing
            self._pool.stop()


__all__ = ["MAX_WAITING_CALLS", "Threads"]
