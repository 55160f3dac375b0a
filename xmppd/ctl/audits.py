"""The command on the audit."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Number
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.times import iso
from xmppd.store.audit import AuditEntry, AuditStore

MAX_ROWS = 10_000
DEFAULT_ROWS = 100
MAX_NUMBER = 2**53


class AuditRow(Row, frozen=True):
    """A command that has changed something."""

    least = ("node", "way", "address", "arguments")

    number: int
    at: str | None
    actor: str
    way: str
    address: str
    node: str
    command: str
    arguments: str
    outcome: str


@dataclass(frozen=True)
class AuditCommands:
    """The command that lists what was changed, by whom."""

    audit: AuditStore

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List it, the newest first."""
        told = context.arguments
        actor, words = told.text("actor"), told.text("words")

        def wanted(entry: AuditEntry) -> bool:
            return actor in ("", entry.actor) and f"{entry.command} ".startswith(
                words and f"{words} "
            )

        for entry in await self.audit.entries(
            before=told.number("before", MAX_NUMBER),
            limit=told.number("rows", DEFAULT_ROWS),
            wanted=wanted,
        ):
            yield AuditRow(
                number=entry.number,
                at=iso(entry.at),
                actor=entry.actor,
                way=entry.way,
                address=entry.address,
                node=entry.node,
                command=entry.command,
                arguments=entry.arguments,
                outcome=entry.outcome,
            )


COMMANDS: tuple[Declared[AuditCommands], ...] = (
    Declared(
        Description(
            "audit list",
            "list the commands that changed something, and who ran them",
            (
                Argument("--actor", "only commands by this actor, written as in the list"),
                Argument("--words", 'only commands that start with this, such as "user"'),
                Argument(
                    "--before",
                    "only entries with a lower number than this: for the next page, the last "
                    "number of the page before",
                    Number(1, MAX_NUMBER),
                ),
                Argument(
                    "--rows", f"how many rows; {DEFAULT_ROWS} by default", Number(1, MAX_ROWS)
                ),
            ),
            needs="store",
            empty="no such change is recorded",
        ),
        AuditCommands.list_all,
        (AuditRow,),
    ),
)
