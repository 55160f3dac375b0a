"""Locks: a lock for each name, there as long as somebody has it or waits for it."""

from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from twisted.internet.defer import DeferredLock


class Locks:
    """Keeps those apart that change the same thing; who asked first has it first."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, DeferredLock] = {}

    def __len__(self) -> int:
        """The number of locks that somebody has."""
        return len(self._locks)

    @asynccontextmanager
    async def held(self, name: Hashable) -> AsyncIterator[None]:
        """A context in which nobody else holds the lock of this name."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = DeferredLock()
        await lock.acquire()
        try:
            yield
        finally:
            lock.release()
            if not lock.locked and self._locks.get(name) is lock:
                del self._locks[name]


__all__ = ["Locks"]
