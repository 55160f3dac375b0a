"""Rounds: work for many that is done for all of them at once."""

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime


class Rounds:
    """Who comes alone begins at once; who comes soon behind another waits for the next round, with
    all others who do.

    Args:
        clock: The reactor's.
        gap_s: The time between two rounds.
    """

    def __init__(self, clock: IReactorTime, gap_s: float) -> None:
        self._clock = clock
        self._gap_s = gap_s
        self._began = float("-inf")
        self._next: Deferred[None] | None = None

    def join(self) -> Deferred[None] | None:
        """Join a round: None if it begins now, else a Deferred until it does."""
        now = self._clock.seconds()
        if self._next is None:
            if now - self._began >= self._gap_s:
                self._began = now
                return None
            self._next = Deferred()
            self._clock.callLater(self._began + self._gap_s - now, self._begin)
        return self._next

    def _begin(self) -> None:
        self._began = self._clock.seconds()
        begins, self._next = self._next, None
        if begins is not None:
            begins.callback(None)


__all__ = ["Rounds"]
