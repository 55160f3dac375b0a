"""A tale: what happens in a schedule that is played, line by line."""

from collections.abc import Iterator

from typing_extensions import override

from tests.simulation.invariants import faults
from tests.simulation.person import Person
from tests.simulation.schedule import Schedule
from tests.simulation.steps import Step
from tests.simulation.world import World


class ToldWorld(World):
    """A world that tells what happens."""

    def __init__(self, schedule: Schedule) -> None:
        self.lines: list[str] = []
        super().__init__(schedule)

    def _note(self, what: str) -> None:
        self.lines.append(f"{self.time.now:9.3f}  {what}")

    @override
    def step(self, step: Step) -> None:
        self._note(str(step))
        super().step(step)

    @override
    def heard(self, person: Person, data: bytes) -> None:
        self._note(f"    client {person.number}: {data.decode()}")

    @override
    def node_event(self, what: str) -> None:
        self._note(f"  {what}")


def tell(schedule: Schedule) -> Iterator[str]:
    """What happens in a schedule, and what is wrong in the end."""
    world = ToldWorld(schedule)
    world.play()
    found = faults(world)
    yield from world.lines
    yield from found


__all__ = ["ToldWorld", "tell"]
