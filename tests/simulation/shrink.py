"""A schedule that fails is made shorter, as long as it fails in the same way."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from twisted.logger import Logger

from tests.simulation.invariants import faults
from tests.simulation.schedule import Schedule
from tests.simulation.world import World

MAX_TRIES = 600
"""Schedules that are played to make one shorter: some tens of seconds."""


@contextmanager
def undisturbed() -> Iterator[None]:
    """While worlds are played, nothing of earlier ones is collected: what still waits in their dead
    processes would be closed then, in no order, set free others, and complain. It is collected
    behind, and not heard.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        emit, Logger.emit = Logger.emit, _unheard  # type: ignore[method-assign]
        gc.collect()
        Logger.emit = emit  # type: ignore[method-assign]
        gc.enable()


def _unheard(*_: object, **__: object) -> None:
    """Say nothing."""


def played(schedule: Schedule) -> list[str]:
    """Play a schedule; returns what is wrong in the end."""
    with undisturbed():
        world = World(schedule)
        world.play()
        found = faults(world)
        del world
    return found


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
