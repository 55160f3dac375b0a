"""The command on the log."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Choice, Number
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.host.recent_log import LEVELS, MAX_RECENT, RecentLog

DEFAULT_ROWS = 100


class LogRow(Row, frozen=True):
    """A line of the log."""

    least = ("logger",)

    at: str | None
    level: str
    logger: str
    message: str


@dataclass(frozen=True)
class LogCommands:
    """The command that lists the last warnings and errors."""

    recent: RecentLog

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List them, the newest first."""
        told = context.arguments
        words, left = told.text("words").lower(), told.number("rows", DEFAULT_ROWS)
        for line in self.recent.newest(told.text("level", LEVELS[0])):
            if left and words in f"{line.logger} {line.text}".lower():
                left -= 1
                yield LogRow(iso(line.at), line.level, line.logger, line.text)


COMMANDS: tuple[Declared[LogCommands], ...] = (
    Declared(
        Description(
            "log list",
            f"list the last {MAX_RECENT:,} warnings and errors of the log, the newest first",
            (
                Argument("--level", "only lines of at least this level", Choice(LEVELS)),
                Argument("--words", "only lines with these words"),
                Argument(
                    "--rows", f"how many lines; {DEFAULT_ROWS} by default", Number(1, MAX_RECENT)
                ),
            ),
            asks="all",
            empty="there are no such warnings or errors",
        ),
        LogCommands.list_all,
        (LogRow,),
    ),
)
