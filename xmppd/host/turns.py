"""Turns of the reactor, shared by all work that is too long for one."""

from collections import deque

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SHARE_S = 0.010
"""Seconds of a turn for all such work together; the rest is for everything else."""


class Turns:
    """Long work goes on a slice at a time, first come, first served (CH-8).

    However much of it there is, a turn has :data:`SHARE_S` for it, and the length of one slice at
    most beyond that. So much long work slows itself down, and nothing else.

    Args:
        clock: Gives turns, and tells how long one has taken.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()
        self._call: IDelayedCall | None = None

    def next(self) -> Deferred[None]:
        """Wait for the next turn of the reactor."""
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        self._go_on_soon()
        return turn

    def _go_on_soon(self) -> None:
        if self._call is None:
            self._call = self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        self._call = None
        ends = self._clock.seconds() + SHARE_S
        for _ in range(len(self._waiting)):  # one that waits again meanwhile has had this turn
            self._waiting.popleft().callback(None)
            if self._clock.seconds() >= ends:
                break
        if self._waiting:
            self._go_on_soon()
