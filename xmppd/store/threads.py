"""Threads of the store, apart from those of the reactor."""

from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime

from xmppd.stanza.phrases import counted
from xmppd.store.errors import StoreError
from xmppd.store.limits import CALL_LIMIT_S, GRACE_S, in_time, left_s, until

MAX_WAITING_CALLS = 10_000

T = TypeVar("T")
Call = tuple[Callable[[], Any], float, Deferred[Any]]
"""What is called, until when, and who waits for what it returns."""


class Threads:
    """A bounded number of threads, and of calls that wait for one. Each begins when there is work
    for it, and none keeps a process that has failed from ending.

    A pool of Twisted's does as much for each call as some of the calls themselves.

    Args:
        reactor: Takes the results.
        size: The number of threads.
        max_waiting_calls: The number of calls under way at which another one is refused.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        size: int,
        max_waiting_calls: int = MAX_WAITING_CALLS,
    ) -> None:
        self._reactor = reactor
        self._clock = IReactorTime(reactor)
        self._size = size
        self._threads: list[Thread] = []
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._max_waiting_calls = max_waiting_calls
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self._closed = False

    async def run(self, call: Callable[[], T], limit_s: float = CALL_LIMIT_S) -> T:
        """Make a call in a thread; returns its result.

        A call that has not begun in time is not made at all.

        Args:
            call: Finds how long it may wait with :func:`~xmppd.store.limits.left_s`.
            limit_s: The time that it may take; somewhat later it is not waited for.

        Raises:
            StoreError: It takes too long, too many calls wait, or the threads are gone.
        """
        if self._closed:
            raise StoreError("The store is closed.")
        if self._under_way >= self._max_waiting_calls:
            raise StoreError(
                f"The database is too slow: it has {counted(self._under_way, 'call')} waiting."
            )
        self._under_way += 1
        if len(self._threads) < min(self._under_way, self._size):
            name = f"xmppd-store-{len(self._threads)}"
            self._threads.append(Thread(target=self._work, name=name, daemon=True))
            self._threads[-1].start()
        answer: Deferred[T] = Deferred()
        self._calls.put((call, monotonic() + limit_s, answer))
        return await in_time(answer, self._clock, limit_s + GRACE_S)

    def _work(self) -> None:
        """Make calls, in a thread, until there are none any more."""
        while (wanted := self._calls.get()) is not None:
            call, moment, answer = wanted
            outcome = execute(_made_in_time, call, moment)
            self._reactor.callFromThread(self._returned, outcome, answer)

    def _returned(self, outcome: Deferred[T], answer: Deferred[T]) -> None:
        self._under_way -= 1
        if self._idle is not None and not self._under_way:
            self._idle.callback(None)
            self._idle = None
        outcome.addBoth(answer.callback)

    async def close(self) -> None:
        """Wait for calls under way, and stop the threads; one that is stuck is left behind.

        Raises:
            StoreError: One is stuck.
        """
        if self._closed:
            return
        self._closed = True
        if self._under_way:
            self._idle = Deferred()
            await in_time(self._idle, self._clock, CALL_LIMIT_S + GRACE_S)
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()


def _made_in_time(call: Callable[[], T], moment: float) -> T:
    with until(moment):
        if left_s() <= 0:
            raise StoreError("The database is too slow: no thread was free in time.")
        return call()


__all__ = ["MAX_WAITING_CALLS", "Threads"]
