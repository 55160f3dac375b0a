"""Seldom: lines of the log that somebody else can cause, at most one each minute."""

from collections.abc import Callable

EACH_S = 60.0
MAX_CAUSES = 1_000
"""Of which it is remembered when they were told; of more, the one told longest ago is forgotten."""


class Seldom:
    """Says when the next line about one cause may be logged.

    Args:
        seconds: The steady clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._told: dict[str, tuple[float, int]] = {}

    def untold(self, cause: str) -> int | None:
        """The number of lines about a cause that were left out before this one, which may be
        logged; None if it is to be left out as well.
        """
        now = self._seconds()
        at, left_out = self._told.pop(cause, (now - EACH_S, 0))
        if now - at < EACH_S:
            self._told[cause] = at, left_out + 1
            return None
        if len(self._told) >= MAX_CAUSES:
            del self._told[next(iter(self._told))]
        self._told[cause] = now, 0
        return left_out


__all__ = ["EACH_S", "MAX_CAUSES", "Seldom"]
