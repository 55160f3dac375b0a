"""Commands: a house in memory, and what only a running server has."""

from collections.abc import Mapping
from pathlib import Path
from typing import cast

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from xmppd.acme.renewals import Renewals
from xmppd.command.command_context import SHELL
from xmppd.command.command_table import CommandTable
from xmppd.command.refused import Refused
from xmppd.command.roles import Roles
from xmppd.config.table import ConfigError
from xmppd.ctl.checkup import CheckupCommands
from xmppd.ctl.commands import of_running
from xmppd.ctl.files import FileCommands
from xmppd.ctl.protocol import Line, line_of
from xmppd.events import OWNER
from xmppd.host.failures import Failures
from xmppd.host.machine import IReactor
from xmppd.host.recent_log import RecentLog
from xmppd.net.listen_endpoint import ListenEndpoint
from xmppd.plugin.plugin_manager import PluginManager
from xmppd.testing.client import done
from xmppd.testing.house import House

NOWHERE = Path("/nowhere/xmppd.toml")
TURNS = 100
"""Of the reactor, for what takes some."""


class Life:
    """What only a server that runs can do, noted instead of done."""

    def __init__(self, plugins: PluginManager) -> None:
        self.plugins = plugins
        self.failures = Failures()
        self.recent = RecentLog()
        self.changed: list[Path] = []
        self.endpoints: list[ListenEndpoint] = []
        self.renewals: Renewals | None = None
        self.stopped = False

    def unread(self) -> list[Path]:
        """The files that are said to have changed."""
        return self.changed

    async def reload(self) -> tuple[list[str], list[str]]:
        """Two keys have changed."""
        return ["log.level"], ["data"]

    def plan(self, text: str) -> tuple[list[str], list[str]]:
        """The same two keys, unless the text is none."""
        if "=" not in text:
            raise ConfigError("line 1 is not TOML; correct it there.")
        return ["log.level"], ["data"]

    def stop(self) -> None:
        """Note it."""
        self.stopped = True


class Office:
    """A house where all commands may be given.

    Attributes:
        house: The house.
        life: What was asked of the running server.
        table: The commands of the server.
        files: Those that need none.
    """

    def __init__(self, house: House, path: Path = NOWHERE) -> None:
        self.house = house
        self.life = Life(house.plugins)
        self.table = house.server.commands
        reactor = cast(IReactor, MemoryReactorClock())
        self.files = CommandTable((), Roles())
        for command in of_running(house.server, self.life, path):
            self.table.put(command, OWNER)
        for holder in (FileCommands, CheckupCommands):
            for command in holder(path, reactor).commands():
                self.files.put(command, OWNER)

    def replies(self, command: str, **given: object) -> list[Line]:
        """All that a command answers."""
        work = Deferred.fromCoroutine(self._replies(command, given))
        self.house.clock.pump([0.0] * TURNS)
        return done(work)

    async def _replies(self, command: str, given: Mapping[str, object]) -> list[Line]:
        table = self.files if command in self.files.commands else self.table
        replies = table.replies(*table.asked(command, given, SHELL))
        return [line_of(reply) async for reply in replies]

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
