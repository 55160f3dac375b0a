"""Locks: a lock for each name, there as long as somebody has it or waits for it."""

from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager

from twisted.internet.defer import DeferredLock


class Locks:
    """Keeps those apart that change the same thing; who asked first has it first."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, DeferredLock] = {}

    def __len__(self) -> int:
        """The number of locks that somebody has."""
        return len(self._locks)

    def held(self, name: Hashable) -> AbstractAsyncContextManager[None]:
        """A context in which nobody else holds the lock of this name."""
        return _Held(self._locks, name)


class _Held(AbstractAsyncContextManager[None]):
    """A class, since a context made of a generator costs five times as much."""

    __slots__ = ("_lock", "_locks", "_name")

    def __init__(self, locks: dict[Hashable, DeferredLock], name: Hashable) -> None:
        self._locks = locks
        self._name = name

    async def __aenter__(self) -> None:
        lock = self._locks.get(self._name)
        if lock is None:
            lock = self._locks[self._name] = DeferredLock()
        self._lock = lock
        await lock.acquire()

    async def __aexit__(self, *raised: object) -> None:
        lock = self._lock
        lock.release()
        if not lock.locked and self._locks.get(self._name) is lock:
            del self._locks[self._name]


__all__ = ["Locks"]
