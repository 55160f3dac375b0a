"""A context for commands: a house in memory, and what only a running server has."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from twisted.internet.testing import MemoryReactorClock

from xmppd.ctl.command import CommandContext, Refused, Reply, replies
from xmppd.ctl.commands import TABLE
from xmppd.host.machine import IReactor
from xmppd.net.listen_endpoint import ListenEndpoint
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.testing.client import done
from xmppd.testing.house import House

NOWHERE = Path("/nowhere/xmppd.toml")


class Life:
    """What only a server that runs can do, noted instead of done."""

    def __init__(self, plugins: PluginManager) -> None:
        self.plugins = plugins
        self.endpoints: list[ListenEndpoint] = []
        self.stopped = False

    def reload(self) -> tuple[list[str], list[str]]:
        """Two keys have changed."""
        return ["log.level"], ["data"]

    def stop(self) -> None:
        """Note it."""
        self.stopped = True


class Office:
    """A house with a context in it.

    Attributes:
        house: The house.
        life: What was asked of the running server.
    """

    def __init__(self, house: House, path: Path = NOWHERE) -> None:
        self.house = house
        self.life = Life(house.plugins)
        reactor = cast(IReactor, MemoryReactorClock())
        self.context = CommandContext(path, house.server.config, reactor, house.server, self.life)

    def replies(self, command: str, **given: object) -> list[Reply]:
        """All that a command answers."""
        return done(self._replies(command, given))

    async def _replies(self, command: str, given: Mapping[str, object]) -> list[Reply]:
        return [reply async for reply in replies(TABLE[command], self.context, given)]

    def rows(self, command: str, **given: object) -> list[dict[str, object]]:
        """The rows that a command answers."""
        return [dict(row) for row in self.replies(command, **given) if not isinstance(row, str)]

    def says(self, command: str, **given: object) -> str:
        """The one sentence that a command answers."""
        (sentence,) = self.replies(command, **given)
        assert isinstance(sentence, str)
        return sentence

    def refusal(self, command: str, **given: object) -> str:
        """Why a command is refused."""
        try:
            self.replies(command, **given)
        except Refused as error:
            return str(error)
        raise AssertionError(f"{command} was not refused")
