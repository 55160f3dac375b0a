"""Clocks: the steady one measures durations, the wall clock tells the time of day."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from xmppd.host.wall_clock import wall_clock

UNKNOWN = float("-inf")
"""A moment that is not known: before all others."""


boot_clock: Callable[[], float] = partial(time.clock_gettime, time.CLOCK_BOOTTIME)
"""Seconds since the machine was started, those included for which it slept.

Other processes do not wait for a machine that sleeps: what one has promised them is measured by
this clock. A node reads it for each stanza that it writes: so no function of ours is around it.
"""


class Note(NamedTuple):
    """A moment by both clocks, as one process leaves it to the next.

    Attributes:
        moment: On the steady clock.
        stamp: In seconds since 1970.
        boot: Names the start of the machine.
    """

    moment: float
    stamp: float
    boot: str


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks for durations and for stamps. A *moment* is a reading of the steady clock: it is
    compared with other moments, and means nothing to another process. A *stamp* is the reading of
    the wall clock for it: it is for people, for other servers and for the store.

    Attributes:
        seconds: The steady clock, in seconds from anywhere: nobody sets it.
        wall_clock: Seconds since 1970.
        boot: The start of the steady clock: processes that have this in common can compare
            moments. Empty if it is not known.
        started: The moment at which the server started.
    """

    seconds: Callable[[], float]
    wall_clock: Callable[[], float]
    boot: str = ""
    started: float = 0.0

    def stamp(self, moment: float) -> float:
        """The stamp of a moment, in seconds since 1970."""
        return self.wall_clock() - (self.seconds() - moment)

    def moment(self, stamp: float) -> float:
        """The moment of a stamp; a stamp in the future, from a wrong clock, is now."""
        return self.seconds() - max(0.0, self.wall_clock() - stamp)

    def note(self) -> Note:
        """A note of this moment, for another process."""
        return Note(self.seconds(), self.wall_clock(), self.boot)

    def since_s(self, note: Note) -> float:
        """The seconds since a note: by the wall clock only if the machine was started since."""
        if self.boot and note.boot == self.boot:
            return max(0.0, self.seconds() - note.moment)
        return max(0.0, self.wall_clock() - note.stamp)


__all__ = [
    "UNKNOWN",
    "Clocks",
    "Note",
    "boot_clock",
    "wall_clock",
]
