"""Numbers that ``xmppctl stats`` shows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from twisted.logger import Logger

from xmppd.events import Undo

_log = Logger()


@dataclass(frozen=True)
class Statistic:
    """A number that ``xmppctl stats`` shows.

    Attributes:
        name: With its unit, such as ``sessions`` or ``offline_bytes``.
        sample: The number just now.
    """

    name: str
    sample: Callable[[], float]


class Statistics:
    """The place of all numbers, by name."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[Statistic, str]] = {}

    def put(self, part: Statistic, owner: str) -> Undo:
        """Show this one too.

        Raises:
            ValueError: There is one of this name.
        """
        if part.name in self._rows:
            raise ValueError(f"{part.name} is taken")
        self._rows[part.name] = part, owner

        def take_out() -> None:
            del self._rows[part.name]

        return take_out

    def sampled(self) -> Iterator[tuple[str, float]]:
        """Each number just now, with its name; one that fails is left out."""
        for part, owner in self._rows.values():
            try:
                number = part.sample()
            except Exception:
                _log.failure("{owner} failed to say {name}", owner=owner, name=part.name)
            else:
                yield part.name, number
