"""ReadingHistory: readings that are kept: of an hour, and of a week with longer steps."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from xmppd.console.readings import Readings

STEP_S, MAX_KEPT = 10.0, 361
"""The time between two readings, and how many there are: of an hour."""

LONG_STEP_S, MAX_LONG_KEPT = 300.0, 2_017
"""The same of a week: about 1.5 MB of memory."""


@dataclass(frozen=True, slots=True)
class LookBack:
    """A time that one can look back on.

    Attributes:
        title: For people.
        long: Whether it is one of long steps.
        most: Steps that it has.
        each: Of so many steps one is made, so that no span has more than 360.
    """

    title: str
    long: bool
    most: int
    each: int = 1


SPANS: Mapping[str, LookBack] = {
    "hour": LookBack("hour", False, 360),
    "day": LookBack("day", True, 288),
    "week": LookBack("week", True, 2_016, 7),
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

    def keep(self, reading: Readings) -> None:
        """Keep readings."""
        self._kept.append(reading)
        if not self._long or reading.at - self._long[-1].at >= LONG_STEP_S:
            self._long.append(reading)

    @property
    def first(self) -> Readings | None:
        """The oldest of the last hour."""
        return self._kept[0] if self._kept else None

    @property
    def last(self) -> Readings | None:
        """The newest."""
        return self._kept[-1] if self._kept else None

    def over(self, span: LookBack) -> list[Readings]:
        """Those of a time, the oldest first, up to the newest there are: the last of long steps
        may be shorter.
        """
        found = list(self._long if span.long else self._kept)[-span.most - 1 :]
        if span.long and self._kept and self._kept[-1] is not found[-1]:
            found.append(self._kept[-1])
        return found if span.each == 1 else found[:: -span.each][::-1]


__all__ = ["LONG_STEP_S", "SPANS", "STEP_S", "LookBack", "ReadingHistory"]
