"""LoopWatch: how late the reactor's loop is, as a histogram."""

from xmppd.host.metrics import Histogram

BOUNDS_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class LoopWatch:
    """Is called again and again at one interval, and notes by how much that was later.

    Args:
        interval_s: The time from one call to the next.

    Attributes:
        late_s: The seconds by which calls came too late.
    """

    def __init__(self, interval_s: float) -> None:
        self.late_s = Histogram(*BOUNDS_S)
        self._interval_s = interval_s
        self._due: float | None = None

    def look(self, now: float) -> None:
        """Note that it was called now; what is made up for is as late as it is."""
        if self._due is not None:
            self.late_s.observe(max(0.0, now - self._due))
        self._due = now + self._interval_s
