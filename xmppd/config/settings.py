"""Settings: a table of the file, and who goes by it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar

from twisted.logger import Logger

from xmppd.config.config import Config, Section
from xmppd.events import Undo

S = TypeVar("S", bound=Section)
_log = Logger()


@dataclass(frozen=True)
class Settings(Generic[S]):
    """A stage, or a part of a plugin, that goes by a table of the file.

    Attributes:
        table: The struct of that table; :class:`~xmppd.config.config.Config` for all of them.
        use: Called with the table after the file was read again, if a key of it has changed.
    """

    table: type[S]
    use: Callable[[S], None]


class SettingsTable:
    """The configuration that a server goes by, and who goes by which table of it.

    Attributes:
        config: What holds just now.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._parts: list[tuple[Settings[Any], str]] = []

    def of(self, table: type[S]) -> S:
        """A table as it is just now."""
        return self.config.of(table)

    def put(self, part: Settings[Any], owner: str) -> Undo:
        """Hand it its table whenever that has changed, until it is taken out."""
        entry = (part, owner)
        self._parts.append(entry)
        return partial(self._parts.remove, entry)

    def hands(self, table: type, owner: str) -> bool:
        """Whether a plugin has a part that is handed this table."""
        return any(part.table is table and of == owner for part, of in self._parts)

    def reload(self, config: Config) -> None:
        """Go by another configuration; one who cannot take it keeps nobody else from it."""
        before, self.config = self.config, config
        for part, owner in tuple(self._parts):
            table = config.of(part.table)
            if table != before.of(part.table):
                try:
                    part.use(table)
                except Exception:
                    _log.failure("{owner} cannot take its settings", owner=owner)
