"""Presence broadcasts that are too long for one turn of the reactor."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred

CONTACTS_PER_SLICE = 1_000
"""Some 3 ms of deliveries in one turn."""

MAX_WAITING = 100

Copies = int | Coroutine[Any, Any, int]
"""The number of copies of a broadcast, or a coroutine with it if not all are made yet."""


class Broadcasts:
    """The broadcasts under way: those of one account go one after the other.

    Args:
        next_turn: Waits for the next turn of the reactor.

    Attributes:
        contacts_per_slice: The number that is told in one turn.
    """

    def __init__(self, next_turn: Callable[[], Awaitable[None]]) -> None:
        self.next_turn = next_turn
        self.contacts_per_slice = CONTACTS_PER_SLICE
        self._waiting: dict[str, deque[Deferred[None]]] = {}

    def under_way(self, account: str) -> bool:
        """Whether a broadcast of this account has not reached all contacts yet."""
        return account in self._waiting

    def is_full(self, account: str) -> bool:
        """Whether so many of the account's presences wait that no other may."""
        return len(self._waiting.get(account, ())) >= MAX_WAITING

    async def quiet(self, account: str) -> None:
        """Wait until all earlier broadcasts of this account have ended, in the order of the
        calls.
        """
        waiting = self._waiting.get(account)
        if waiting is not None:
            turn: Deferred[None] = Deferred()
            waiting.append(turn)
            await turn

    @asynccontextmanager
    async def turn(self, account: str) -> AsyncIterator[None]:
        """The account's turn, when it is quiet."""
        await self.quiet(account)
        self._waiting[account] = deque()
        try:
            yield
        finally:
            self._wake(account, self._waiting.pop(account))

    def _wake(self, account: str, waiting: deque[Deferred[None]]) -> None:
        """Let waiting calls go on, until one of them takes the turn."""
        while waiting and not self.under_way(account):
            waiting.popleft().callback(None)
        if waiting:
            waiting.extend(self._waiting[account])
            self._waiting[account] = waiting

    async def finish(self) -> None:
        """Wait until all broadcasts have ended."""
        while self._waiting:
            await self.next_turn()
