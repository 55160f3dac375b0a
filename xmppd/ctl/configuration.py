"""Commands on the configuration of a server that runs: the file, and what a change would do."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Document
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config.table import ConfigError
from xmppd.ctl.declared import Declared
from xmppd.ctl.life import KeyRow
from xmppd.ctl.running import Running
from xmppd.stanza import Condition

BEFORE = ".before"
"""What the name of the file has behind it that was there before."""


class ConfigFileRow(Row, frozen=True):
    """The configuration file.

    Attributes:
        path: Where it is.
        text: What is in it.
        known: The version of the file; give it to ``config apply --known``.
    """

    path: str
    text: str
    known: str


@dataclass(frozen=True)
class ConfigurationCommands:
    """The commands that show the configuration file, and change it."""

    running: Running
    path: Path

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def file(self, context: CommandContext) -> Replies:
        """Show the file as it is, with the secrets that are in it."""
        text = self._text()
        yield ConfigFileRow(str(self.path), text, _known(text))

    async def plan(self, context: CommandContext) -> Replies:
        """Say what a change would do."""
        rows = list(self._planned(context.arguments.text("text")))
        for row in rows:
            yield row
        if not rows:
            yield "nothing would change"

    async def apply(self, context: CommandContext) -> Replies:
        """Write another file, keep the one before, and read it."""
        told = context.arguments
        text, before = told.text("text"), self._text()
        if told.given("known") and told.text("known") != _known(before):
            raise Refused(
                f"the configuration file is no longer version {told.text('known')}, because "
                "someone has changed it; look at it with `xmppctl config file`, then run "
                "`xmppctl config plan` again",
                Condition.CONFLICT,
            )
        list(self._planned(text))
        self._write(text, before)
        try:
            now, later = await self.running.reload()
        except ConfigError as error:
            self._write(before, before)
            raise Refused(f"nothing was changed: {str(error).rstrip('.')}") from error
        for key in now:
            yield KeyRow(key, "takes effect now")
        for key in later:
            yield KeyRow(key, "needs a restart")
        yield f"the file was written; its previous version is {self.path.name}{BEFORE}"

    def _planned(self, text: str) -> Iterator[KeyRow]:
        try:
            now, later = self.running.plan(text)
        except ConfigError as error:
            raise Refused(str(error).rstrip("."), Condition.BAD_REQUEST, argument="text") from error
        for key in now:
            yield KeyRow(key, "would take effect at once")
        for key in later:
            yield KeyRow(key, "would need a restart")

    def _text(self) -> str:
        try:
            return self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(f"{self.path} cannot be read ({error})") from error

    def _write(self, text: str, before: str) -> None:
        """Put a file in the place of the present one, whole or not at all."""
        try:
            mode = self.path.stat().st_mode & 0o777
            _put(self.path.with_name(f"{self.path.name}{BEFORE}"), before, mode)
            _put(self.path, text, mode)
        except OSError as error:
            raise Refused(
                f"the server cannot write {self.path} ({error.strerror}); write the new text to "
                "that file as the user who owns it, then run xmppctl reload",
                Condition.FORBIDDEN,
            ) from error


def _put(path: Path, text: str, mode: int) -> None:
    made = path.with_name(f".{path.name}.new")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    made.replace(path)


def _known(text: str) -> str:
    return sha256(text.encode()).hexdigest()


TEXT = Argument("text", "a file with the new configuration", Document())

COMMANDS: tuple[Declared[ConfigurationCommands], ...] = (
    Declared(
        Description(
            "config file",
            "show the configuration file as it is, secrets included",
            answers="record",
            area="keys",
        ),
        ConfigurationCommands.file,
        (ConfigFileRow,),
    ),
    Declared(
        Description(
            "config plan", "show what another configuration would change", (TEXT,), area="config"
        ),
        ConfigurationCommands.plan,
        (KeyRow,),
    ),
    Declared(
        Description(
            "config apply",
            "write another configuration, and put it into effect",
            (
                TEXT,
                Argument(
                    "--known",
                    "only if the file still has this version, which `xmppctl config file` shows",
                ),
            ),
            "changes",
            area="config",
        ),
        ConfigurationCommands.apply,
        (KeyRow,),
    ),
)
