"""The two clocks: one measures how long things take, the other says what time of day it is."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

UNKNOWN = float("-inf")
"""A moment that nobody noted: before all others."""


def wall_clock() -> float:
    """The time of day, in seconds since 1970: it may be set at any time, by hours or by days."""
    return time.time()


class Note(NamedTuple):
    """A moment by both clocks, as one process leaves it to the next.

    Attributes:
        moment: On the steady clock.
        stamp: In seconds since 1970.
        boot: Of which start of the machine.
    """

    moment: float
    stamp: float
    boot: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """What a duration is measured by, and what a stamp is taken from.

    A *moment* is what the steady clock showed: it is compared with other moments, and means nothing
    to another process. A *stamp* is what the wall clock shows for it: it is for people, for other
    servers and for the store.

    Attributes:
        seconds: The steady clock, in seconds from anywhere: nobody sets it.
        wall_clock: Seconds since 1970.
        boot: What the steady clock began with: processes that have this in common can compare
            moments. Empty if it is not known.
        started: The moment at which the server started.
    """

    seconds: Callable[[], float]
    wall_clock: Callable[[], float]
    boot: str = ""
    started: float = 0.0

    def stamp(self, moment: float) -> float:
        """When that was, in seconds since 1970."""
        return self.wall_clock() - (self.seconds() - moment)

    def moment(self, stamp: float) -> float:
        """When that was on the steady clock; what a wrong clock stamped with the future was now."""
        return self.seconds() - max(0.0, self.wall_clock() - stamp)

    def note(self) -> Note:
        """This moment, for another process."""
        return Note(self.seconds(), self.wall_clock(), self.boot)

    def since_s(self, note: Note) -> float:
        """How long ago that was: by the wall clock only if the machine was started since."""
        if self.boot and note.boot == self.boot:
            return max(0.0, self.seconds() - note.moment)
        return max(0.0, self.wall_clock() - note.stamp)
