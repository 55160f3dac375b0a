"""Tally: counts that all nodes share for a while."""

from typing import Protocol

from typing_extensions import override


class Tally(Protocol):
    """Counts by key. One to which nothing was added for a time begins anew."""

    async def add(self, key: str, lasts_s: float) -> int:
        """Count one more.

        Args:
            key: Any text.
            lasts_s: The seconds for which the count is kept from now on.

        Returns:
            The count; 0 if nobody knows it just now.
        """

    async def forget(self, key: str) -> None:
        """Begin anew; nothing happens if that cannot be done just now."""


class NoTally(Tally):
    """That of a single node, which has its own counts: it knows nothing."""

    @override
    async def add(self, key: str, lasts_s: float) -> int:
        return 0

    @override
    async def forget(self, key: str) -> None:
        pass


__all__ = ["NoTally", "Tally"]
