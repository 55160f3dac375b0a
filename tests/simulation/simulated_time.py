"""The one time of a simulation, and the clocks of nodes, each of which goes a little wrong."""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import inf
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from typing_extensions import override


class SimulatedTime:
    """The true time, and all that is to happen.

    Attributes:
        now: Seconds since the beginning.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._to_come: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers = count()

    def seconds(self) -> float:
        """The same, as a clock tells it."""
        return self.now

    def at(self, when: float, call: Callable[..., object], *args: Any) -> None:
        """Call a function then, or now if that is past."""
        heappush(self._to_come, (max(when, self.now), next(self._numbers), call, args))

    def after(self, delay_s: float, call: Callable[..., object], *args: Any) -> None:
        """Call a function some seconds from now."""
        self.at(self.now + delay_s, call, *args)

    def turn(self, until: float = inf) -> bool:
        """Do what is to be done next; returns False if nothing is before then."""
        if not self._to_come or self._to_come[0][0] > until:
            return False
        self.now, _, call, args = heappop(self._to_come)
        call(*args)
        return True


class DriftingClock(Clock):
    """The steady clock of one process: a little too fast or too slow.

    It stands in for the process as well: what is to happen in that happens by its clock, so
    nothing does while it is stopped, and all that is overdue when it goes on. What does not happen
    since the process is gone is kept: were it collected, whoever waits for it would be closed, and
    set free what waits for that; a dead process would act.

    Args:
        time: The true one.
        rate: Its seconds in a true one.

    Attributes:
        ended: Whether the process is gone: nothing happens in it any more.
        stopped_since: The true time when it was stopped last.
    """

    def __init__(self, time: SimulatedTime, rate: float) -> None:
        super().__init__()
        self._time = time
        self._rate = rate
        self._stopped_until = self.stopped_since = 0.0
        self._undone: list[object] = []
        self.ended = False

    @property
    def stopped(self) -> bool:
        """Whether the process stands still just now."""
        return self._time.now < self._stopped_until

    @override
    def seconds(self) -> float:
        return 1_000.0 + self._time.now * self._rate

    def stop_for(self, seconds: float) -> None:
        """Have the process stand still, while time goes on: it jumps when it goes on."""
        if not self.stopped:
            self.stopped_since = self._time.now
        self._stopped_until = max(self._stopped_until, self._time.now + seconds)

    @override
    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        call = DelayedCall(
            self.seconds() + delay, callable, args, kw, _nothing, self._put, self.seconds
        )
        self._put(call)
        return call

    def _put(self, call: DelayedCall) -> None:
        self._time.at((call.getTime() - 1_000.0) / self._rate, self._run, call)

    def _run(self, call: DelayedCall) -> None:
        if call.cancelled or call.called:
            return
        if self.ended:
            self._undone.append(call)
        elif self.stopped:
            self._time.at(self._stopped_until, self._run, call)
        elif call.getTime() > self.seconds() + 1e-6:
            self._put(call)  # it was put off
        else:
            call.called = 1
            call.func(*call.args, **call.kw)

    def happen(self, call: Callable[..., object], *args: Any) -> None:
        """Do something in this process, as soon as it can."""
        if self.ended:
            self._undone.append((call, args))
        elif self.stopped:
            self._time.at(self._stopped_until, self.happen, call, *args)
        else:
            call(*args)

    @override
    def advance(self, amount: float) -> None:
        raise AssertionError("time is turned for all")


def _nothing(call: DelayedCall) -> None:
    """Do nothing: a call that was cancelled says so itself."""


__all__ = ["DriftingClock", "SimulatedTime"]
