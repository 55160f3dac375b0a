"""Settings: the tables of the file, and the stages that go by them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from msgspec.structs import fields, replace
from twisted.logger import Logger

from xmppd.config.config import Config
from xmppd.config.section import Mark, Section, is_marked
from xmppd.config.table import read
from xmppd.events import OWNER, Undo

S = TypeVar("S", bound=Section)
_log = Logger()


@dataclass(frozen=True)
class Settings(Generic[S]):
    """A stage, or a part of a plugin, that goes by a table of the file.

    Attributes:
        table: The struct of that table: one of :mod:`xmppd.config.config`, or the plugin's own;
            :class:`~xmppd.config.config.Config` for all but those of plugins.
        use: Called with the table after the file was read again, if a key of it has changed.
    """

    table: type[S]
    use: Callable[[S], None]


class SettingsTable:
    """The configuration of a server, and the stages that go by each table of it.

    Attributes:
        config: The present configuration.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._parts: list[tuple[Settings[Any], str]] = []

    def put(self, part: Settings[Any], owner: str) -> Undo:
        """Hand its table to it whenever that has changed, until it is taken out."""
        entry = (part, owner)
        self._parts.append(entry)
        return partial(self._parts.remove, entry)

    def hands(self, table: type, owner: str) -> bool:
        """Whether a plugin has a part that is handed this table."""
        return any(part.table is table and of == owner for part, of in self._parts)

    def reload(self, config: Config) -> None:
        """Take another configuration; one stage that fails does not keep it from the others."""
        before, self.config = self.config, config
        for part, owner in tuple(self._parts):
            try:
                table = table_of(config, part.table, owner)
                if table != table_of(before, part.table, owner):
                    part.use(table)
            except Exception:
                _log.failure("{owner} could not apply its settings", owner=owner)


def table_of(config: Config, table: type[S], owner: str = OWNER) -> S:
    """A table of the file, by its struct.

    Args:
        config: The file.
        table: The struct; one that is not the server's is a plugin's own.
        owner: The plugin's name, which its table has.

    Raises:
        ConfigError: The plugin's table is wrong.
    """
    known = config.of(table)
    if known is None:
        own = read(config.plugin_tables.get(owner, {}), table, f"{owner}.")
        paths = [field.name for field in fields(table) if is_marked(field, Mark.IN_DATA)]
        return replace(own, **{name: str(Path(config.data) / getattr(own, name)) for name in paths})
    return known


__all__ = ["Settings", "SettingsTable", "table_of"]
