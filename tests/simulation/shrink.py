"""A schedule that fails is made shorter, as long as it fails in the same way."""

from collections.abc import Callable

from tests.simulation.invariants import faults
from tests.simulation.schedule import Schedule
from tests.simulation.world import World

MAX_TRIES = 600
"""Schedules that are played to make one shorter: some tens of seconds."""


def played(schedule: Schedule) -> list[str]:
    """Play a schedule; returns what is wrong in the end."""
    world = World(schedule)
    world.play()
    return faults(world)


def kinds(found: list[str]) -> set[str]:
    """The invariants that are broken."""
    return {fault.partition(":")[0] for fault in found}


def shrunk(
    schedule: Schedule, found: list[str], play: Callable[[Schedule], list[str]] = played
) -> Schedule:
    """The shortest schedule found that breaks one of the same invariants.

    Args:
        schedule: Fails.
        found: What is wrong with it.
        play: Says what is wrong with a shorter one.
    """
    wanted, tries = kinds(found), 0
    size = len(schedule.steps) // 2
    while size and tries < MAX_TRIES:
        start = len(schedule.steps) - size
        while start > -size and tries < MAX_TRIES:
            first = max(start, 0)
            shorter = schedule.without(*range(first, start + size))
            tries += 1
            if wanted & kinds(play(shorter)):
                schedule = shorter
            start -= size
        size //= 2
    return schedule
