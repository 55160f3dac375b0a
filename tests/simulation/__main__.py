"""``make simulate``: play schedules; one that fails is printed, made shorter, and played again."""

import sys
from argparse import ArgumentParser
from time import monotonic

from tests.simulation.schedule import Schedule
from tests.simulation.shrink import played, shrunk, undisturbed
from tests.simulation.tale import tell

SEEDS = 2_000
TOGETHER = 20
"""Schedules behind which memory is tidied."""


def main() -> int:
    """Play what the command line asks for; returns the exit status."""
    parser = ArgumentParser(prog="make simulate")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many schedules")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="play this one alone, and tell all of it")
    parser.add_argument("--moves", action="store_true", help="nodes are drained, sessions move")
    parser.add_argument("--whole", action="store_true", help="do not make it shorter")
    told = parser.parse_args()
    if told.seed is not None:
        return _replay(Schedule.of(told.seed, moves=told.moves), whole=told.whole)
    began, failed = monotonic(), []
    seeds = range(told.first, told.first + told.seeds)
    for start in range(0, len(seeds), TOGETHER):
        with undisturbed():
            for seed in seeds[start : start + TOGETHER]:
                failed += [seed] * (not _is_well(Schedule.of(seed, moves=told.moves)))
    took_s = monotonic() - began
    _say(f"{told.seeds} schedules in {took_s:.0f} s, {len(failed)} failed")
    if failed:
        _say(f"the first, made shorter; make simulate SEED={failed[0]} does this again")
        _replay(Schedule.of(failed[0], moves=told.moves), whole=told.whole)
    return bool(failed)


def _is_well(schedule: Schedule) -> bool:
    """Play one, and say what is wrong."""
    found = played(schedule)
    if found:
        _say(f"seed {schedule.seed}:")
        for fault in found:
            _say(f"  {fault}")
    return not found


def _replay(schedule: Schedule, *, whole: bool) -> int:
    """Play one; if it fails, tell the shortest that does."""
    found = played(schedule)
    if not found:
        _say(f"seed {schedule.seed} is well: {len(schedule.steps)} steps")
        return 0
    if not whole:
        schedule = shrunk(schedule, found)
    _say(f"{schedule}\n")
    for line in tell(schedule):
        _say(line)
    return 1


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
