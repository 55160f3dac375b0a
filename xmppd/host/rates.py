"""Rates: how much what is counted has grown within the last minute."""

from collections import deque
from collections.abc import Mapping

from xmppd.host.metrics import Metrics

LOOKED_AT_EACH_S = 10.0
WINDOW_S = 60.0


class Rates:
    """Looks at all counters from time to time.

    Args:
        metrics: All of them.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._looks: deque[tuple[float, dict[str, float]]] = deque()
        self._next = 0.0

    def look(self, now: float) -> None:
        """Note the counters of now, if it is time."""
        if now < self._next:
            return
        self._next = now + LOOKED_AT_EACH_S
        while self._looks and now - self._looks[0][0] > WINDOW_S:
            self._looks.popleft()
        self._looks.append((now, dict(self._metrics.numbers(growing=True))))

    def per_minute(self, now: float, numbers: Mapping[str, float]) -> dict[str, float]:
        """By how much each counter has grown in the last minute; nothing in the first seconds.

        Args:
            now: The time.
            numbers: All of now; what is no counter is left out.
        """
        if not self._looks or now <= self._looks[0][0]:
            return {}
        since, before = self._looks[0]
        scale = WINDOW_S / (now - since)
        return {
            name: round(scale * (numbers[name] - before.get(name, 0.0)), 2)
            for name in self._looks[-1][1]
            if name in numbers
        }

    def lately(self) -> dict[str, float]:
        """The same as of the latest look, a few seconds ago: nothing is added up for it."""
        return self.per_minute(*self._looks[-1]) if self._looks else {}


__all__ = ["LOOKED_AT_EACH_S", "WINDOW_S", "Rates"]
