"""Locks: a lock for each name, there as long as somebody has it or waits for it."""

from collections import deque
from collections.abc import Hashable
from contextlib import AbstractAsyncContextManager

from twisted.internet.defer import Deferred


class Locks:
    """Keeps those apart that change the same thing; who asked first has it first."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, deque[Deferred[None]]] = {}  # with who waits

    def __len__(self) -> int:
        """The number of locks that somebody has."""
        return len(self._locks)

    def held(self, name: Hashable) -> AbstractAsyncContextManager[None]:
        """A context in which nobody else holds the lock of this name."""
        return _Held(self._locks, name)


class _Held(AbstractAsyncContextManager[None]):
    """A class, since a context made of a generator costs five times as much."""

    __slots__ = ("_locks", "_name")

    def __init__(self, locks: dict[Hashable, deque[Deferred[None]]], name: Hashable) -> None:
        self._locks = locks
        self._name = name

    async def __aenter__(self) -> None:
        waiting = self._locks.get(self._name)
        if waiting is None:
            self._locks[self._name] = deque()
            return
        turn: Deferred[None] = Deferred(waiting.remove)
        waiting.append(turn)
        await turn

    async def __aexit__(self, *raised: object) -> None:
        waiting = self._locks[self._name]
        if waiting:
            waiting.popleft().callback(None)
        else:
            del self._locks[self._name]


__all__ = ["Locks"]
