"""What it costs to look at the stages: the same work with these looks and without, in turn.

    python -m bench.sampling

The pipeline runs in memory, as in bench.where. Each pair is a slice of work with the timer of
:class:`~xmppd.host.stage_samples.StageSamples` running, and one without, and every other pair
begins with the other one; so what else the machine does falls on both. The least of each kind are
compared. A loaded machine blurs that by some per cent, so the looks themselves are timed too. All
other counting is on in both: plain integers, which no switch turns off.
"""

import sys
import time
from collections.abc import Callable
from itertools import count
from math import inf
from types import FrameType

from bench.compare import machine, table
from bench.ours import plugins
from bench.where import AFTERWARDS_S, WALKS, Logins, Talk, people
from xmppd.host.stage_samples import EACH_S, StageSamples
from xmppd.measures import STAGES

PAIRS = 40
WARM = 2
"""Slices that are not counted: what is made once is made in them."""

BROADCASTS = 2_000
ROUNDS = 400


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


def ratio(work: Callable[[], None], samples: StageSamples, pairs: int = PAIRS) -> float:
    """The CPU time with looks, by that without."""
    for _ in range(WARM):
        work()
    least_s = {True: inf, False: inf}
    for number in range(pairs):
        for looks in (True, False) if number % 2 else (False, True):
            if looks:
                samples.start()
            try:
                least_s[looks] = min(least_s[looks], cost_s(work))
            finally:
                samples.stop()
    return least_s[True] / least_s[False]


def main() -> int:
    """Print the ratio for each kind of work."""
    print(f"{machine()}\n")
    rows = []
    for make in (chat, broadcast, login):
        samples = TimedSamples(STAGES)
        found = ratio(make(), samples)
        looks = sum(samples.seen.values())
        share = samples.spent_s / (looks * EACH_S)
        rows.append([make.__name__, f"{found:.3f}", f"{looks}", f"{100 * share:.3f} %"])
    print(table(["work", "with looks, by without", "looks", "their own time"], rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
