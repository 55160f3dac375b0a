"""ReadingHistory: readings that are kept: of an hour, and of a week with longer steps."""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from operator import attrgetter

from xmppd.console.readings import Readings
from xmppd.store.readings import MAX_READINGS

STEP_S, MAX_KEPT = 10.0, 361
"""The time between two readings, and how many there are: of an hour."""

LONG_STEP_S, MAX_LONG_KEPT = 300.0, MAX_READINGS
"""The same of a week: about 1.5 MB of memory."""


@dataclass(frozen=True, slots=True)
class LookBack:
    """A time that one can look back on.

    Attributes:
        title: For people.
        long: Whether it is one of long steps.
        seconds: How long it is.
        each: Of so many steps one is made, so that no span has many more than 360.
    """

    title: str
    long: bool
    seconds: float
    each: int = 1

    def of(self, readings: Iterable[Readings], now: float) -> list[Readings]:
        """Those of this time, with the first and the last of each life.

        Args:
            readings: All there are, the oldest first.
            now: When it ends, on the steady clock.
        """
        found = [reading for reading in readings if reading.at >= now - self.seconds]
        if self.each == 1:
            return found
        lives = (list(life) for _, life in groupby(found, attrgetter("life")))
        return [reading for life in lives for reading in _each(life, self.each)]


def _each(life: Sequence[Readings], each: int) -> Iterable[Readings]:
    first, some = life[:1], life[::-each][::-1]
    return some if some[:1] == first else (*first, *some)


SPANS: Mapping[str, LookBack] = {
    "hour": LookBack("hour", False, 3_600.0),
    "day": LookBack("day", True, 86_400.0),
    "week": LookBack("week", True, 604_800.0, 7),
}
"""The times that one can look back on, by the word that a page is asked with."""


class ReadingHistory:
    """The readings that are kept."""

    def __init__(self) -> None:
        self._kept: deque[Readings] = deque(maxlen=MAX_KEPT)
        self._long: deque[Readings] = deque(maxlen=MAX_LONG_KEPT)

    def is_time(self, now: float) -> bool:
        """Whether the next readings should be kept."""
        return not self._kept or now - self._kept[-1].at >= STEP_S

    def keep(self, reading: Readings) -> bool:
        """Keep readings; returns whether that is a long step."""
        is_long = not self._kept or reading.at - self._long[-1].at >= LONG_STEP_S
        self._kept.append(reading)
        if is_long:
            self._long.append(reading)
        return is_long

    def restore(self, earlier: Sequence[Readings]) -> None:
        """Have those of earlier lives as well, the oldest first; only those of long steps are."""
        self._long = deque((*earlier, *self._long), maxlen=MAX_LONG_KEPT)

    @property
    def first(self) -> Readings | None:
        """The oldest of the last hour and of this life."""
        return self._kept[0] if self._kept else None

    @property
    def last(self) -> Readings | None:
        """The newest."""
        return self._kept[-1] if self._kept else None

    @property
    def step(self) -> Sequence[Readings]:
        """The newest two of this life, if there are two."""
        return [*islice(reversed(self._kept), 2)][::-1]

    def over(self, span: LookBack) -> list[Readings]:
        """Those of a time, the oldest first, up to the newest there are: the last of long steps
        may be shorter. An hour begins with long steps if this life has not lasted so long.
        """
        if not self._kept:
            return []
        first, last = self._kept[0], self._kept[-1]
        if span.long:
            newest = () if self._long[-1] is last else (last,)
            return span.of((*self._long, *newest), last.at)
        earlier = (reading for reading in self._long if reading.at < first.at)
        return span.of((*earlier, *self._kept), last.at)


__all__ = ["LONG_STEP_S", "SPANS", "STEP_S", "LookBack", "ReadingHistory"]
