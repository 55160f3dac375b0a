"""The command that shows how much the database holds."""

from dataclasses import dataclass

from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.store.sizes import StoredSizes


class SizeRow(Row, frozen=True):
    """What there is of a kind.

    Attributes:
        kind: What its records are; what belongs to a plugin has the plugin's name.
        bytes: Their size, including indexes.
        rows: The number of rows; for a plugin, those of all its tables.
        estimated: Whether the numbers are an estimate, because the table is large.
    """

    kind: str
    bytes: int
    rows: int
    estimated: bool


@dataclass(frozen=True)
class StoredCommands:
    """The commands that show what the database holds."""

    sizes: StoredSizes

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def by_kind(self, context: CommandContext) -> Replies:
        """Show each kind, the largest first."""
        for kind, size in await self.sizes.by_kind():
            yield SizeRow(kind=kind, bytes=size.bytes, rows=size.rows, estimated=size.estimated)


COMMANDS: tuple[Declared[StoredCommands], ...] = (
    Declared(
        Description(
            "db sizes",
            "show how much space each kind of data takes in the database; large tables are "
            "estimated",
            needs="store",
            area="data",
            empty="this build of SQLite cannot measure its tables",
        ),
        StoredCommands.by_kind,
        (SizeRow,),
    ),
)
