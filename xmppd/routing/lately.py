"""Lately: what was done in the last seconds, in case it has to be done again."""

from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

LATELY_S = 30.0
"""The time in which a node notices that the directory has lost what was in it, and more: a node
that does not hear of Redis for the time of a lease does nothing."""

MAX_LATELY = 10_000
"""Things that are remembered; beyond these the oldest is forgotten."""


class Lately(Generic[T]):
    """Things to which something was done lately by what the directory said, or that it was told.

    When it has lost something, that shows only with the next renewal of the lease: whoever came
    meanwhile was told too little, and what was just written may be gone (CL-140).

    Args:
        seconds: The time on the steady clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._things: dict[T, float] = {}

    def __len__(self) -> int:
        return len(self._things)

    def note(self, thing: T) -> None:
        """Note a thing; one that is known is the newest again."""
        now = self._seconds()
        self._things.pop(thing, None)
        self._things[thing] = now
        self._forget(now)

    def all(self) -> list[T]:
        """Those of the last :data:`LATELY_S`, the oldest first."""
        self._forget(self._seconds())
        return list(self._things)

    def _forget(self, now: float) -> None:
        things = self._things
        while things:
            oldest = next(iter(things))
            if len(things) <= MAX_LATELY and now - things[oldest] < LATELY_S:
                return
            del things[oldest]


__all__ = ["LATELY_S", "MAX_LATELY", "Lately"]
