"""MemoryTally: counts in memory."""

from collections.abc import Callable

from typing_extensions import override

from xmppd.cluster.tally import Tally


class MemoryTally(Tally):
    """Counts in memory, shared by nodes in one process.

    Args:
        now: The time on a clock that all of them share.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._counts: dict[str, tuple[int, float]] = {}

    @override
    async def add(self, key: str, lasts_s: float) -> int:
        count, ends = self._counts.get(key, (0, 0.0))
        count = count + 1 if self._now() < ends else 1
        self._counts[key] = count, self._now() + lasts_s
        return count

    @override
    async def forget(self, key: str) -> None:
        self._counts.pop(key, None)


__all__ = ["MemoryTally"]
