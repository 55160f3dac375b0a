"""What it costs to look at the stages: the same work with these looks and without, in turn.

    python -m bench.sampling [--pairs 200]

The pipeline runs in memory, as in bench.where. Each pair is a slice of work with the timer of
:class:`~xmppd.host.stage_samples.StageSamples` running, and one without, and every other pair
begins with the other one; so what else the machine does falls on both. Two ratios are printed,
which other work disturbs in different ways: that of the least of each kind, and the median of the
pairs' own. Beside these stands how far two halves of the slices without looks are from each other,
taken in the same way: what is smaller than that is not measured. The looks themselves are timed
too. All other counting is on in both: plain integers, which no switch turns off.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from itertools import count
from statistics import median
from types import FrameType
from typing import NamedTuple

from bench.compare import machine, table
from bench.ours import plugins
from bench.where import AFTERWARDS_S, WALKS, Logins, Talk, people
from xmppd.host.stage_samples import EACH_S, StageSamples
from xmppd.measures import STAGES

PAIRS = 200
WARM = 2
"""Slices that are not counted: what is made once is made in them."""

BROADCASTS = 2_000
ROUNDS = 160
"""So that a slice takes some 50 to 100 ms: a few looks, and with luck nobody between."""


def chat() -> Callable[[], None]:
    """Messages between people whose clients acknowledge them."""
    talk, numbers = Talk(managed=True, archives=False), count()

    def work() -> None:
        for _ in range(ROUNDS):
            talk.round(next(numbers) % 2)

    return work


def broadcast() -> Callable[[], None]:
    """Presence to fifty contacts."""
    walk = WALKS[-1]
    feed = people()[walk.sender].handler.dataReceived

    def work() -> None:
        for _ in range(BROADCASTS):
            feed(walk.stanza)

    return work


def login() -> Callable[[], None]:
    """Clients that log in by PLAIN, and leave."""
    logins = Logins(plugins(archives=False))

    def work() -> None:
        for _ in logins.steps():
            pass
        logins.house.clock.advance(AFTERWARDS_S)

    return work


class TimedSamples(StageSamples):
    """Looks that know how long they take.

    Attributes:
        spent_s: All of them.
    """

    spent_s = 0.0

    def look(self, signum: int, frame: FrameType | None) -> None:
        """Look, and take the time."""
        began = time.thread_time()
        super().look(signum, frame)
        self.spent_s += time.thread_time() - began


def cost_s(work: Callable[[], None]) -> float:
    """The CPU time of what this thread does. While such a timer runs, Linux moves the clock of the
    whole process a tick at a time.
    """
    began = time.thread_time()
    work()
    return time.thread_time() - began


class Slices(NamedTuple):
    """The CPU times of slices of the same work, in seconds, pair by pair.

    Attributes:
        looked: With looks.
        alone: Without.
    """

    looked: Sequence[float]
    alone: Sequence[float]

    @property
    def of_least(self) -> float:
        """The least with looks, by the least without."""
        return min(self.looked) / min(self.alone)

    @property
    def of_pairs(self) -> float:
        """The median of the ratios of all pairs."""
        return median(one / other for one, other in zip(self.looked, self.alone, strict=True))

    @property
    def blur(self) -> "Slices":
        """The same for slices without looks: every other one by its neighbour."""
        return Slices(self.alone[::2], self.alone[1::2])


def slices(work: Callable[[], None], samples: StageSamples, pairs: int) -> Slices:
    """Do the work in pairs of slices."""
    for _ in range(WARM):
        work()
    found: dict[bool, list[float]] = {True: [], False: []}
    for number in range(pairs):
        for looks in (True, False) if number % 2 else (False, True):
            if looks:
                samples.start()
            try:
                found[looks].append(cost_s(work))
            finally:
                samples.stop()
    return Slices(found[True], found[False])


def main() -> int:
    """Print the ratios for each kind of work."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pairs", type=int, default=PAIRS, help="of slices, an even number")
    pairs = parser.parse_args().pairs // 2 * 2
    print(f"{machine()}\n")
    rows = []
    for make in (chat, broadcast, login):
        samples = TimedSamples(STAGES)
        found = slices(make(), samples, pairs)
        looks = sum(samples.seen.values())
        share = samples.spent_s / (looks * EACH_S)
        ratios = [f"{each.of_least:.3f} / {each.of_pairs:.3f}" for each in (found, found.blur)]
        rows.append([make.__name__, *ratios, f"{looks}", f"{100 * share:.3f} %"])
    print("With looks, by without, and without by without: of the least / median of the pairs\n")
    print(table(["work", "with looks", "without", "looks", "their own time"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
