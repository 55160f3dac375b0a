"""Tries: waiting a moment for a server that is about to stop."""

from collections.abc import Awaitable, Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

PATIENCE_S = 5.0
"""The time that a server which starts waits for another one to leave the database."""

EVERY_S = 0.25


async def until_free(take: Callable[[], Awaitable[bool]], clock: IReactorTime) -> bool:
    """Try to take a lock until it is ours, or :data:`PATIENCE_S` are over."""
    until = clock.seconds() + PATIENCE_S
    while not await take():
        if clock.seconds() >= until:
            return False
        await deferLater(clock, EVERY_S, lambda: None)
    return True


__all__ = ["PATIENCE_S", "until_free"]
