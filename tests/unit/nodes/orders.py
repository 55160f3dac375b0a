"""Every order in which things may arrive, one after the other."""

from collections.abc import Iterator
from random import Random

from xmppd.testing.network import Network


class Orders:
    """Tries all choices of what arrives next: the first run always takes the first, and each later
    one differs from the one before in the last choice that has another left.

    Attributes:
        runs: The number of runs so far.
    """

    def __init__(self) -> None:
        self.runs = 0
        self._path: list[int] = []
        self._widths: list[int] = []
        self._depth = 0

    def choose(self, count: int) -> int:
        """Which of so many things arrives next."""
        if self._depth == len(self._path):
            self._path.append(0)
            self._widths.append(count)
        self._depth += 1
        return self._path[self._depth - 1]

    def __iter__(self) -> Iterator["Orders"]:
        while True:
            self._depth = 0
            self.runs += 1
            yield self
            while self._path and self._path[-1] + 1 == self._widths[-1]:
                self._path.pop()
                self._widths.pop()
            if not self._path:
                return
            self._path[-1] += 1


def shuffled(network: Network, seed: int) -> None:
    """Let things arrive in an order of its own."""
    network.choose = Random(seed).randrange  # no secret
