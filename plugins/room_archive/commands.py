"""The command that writes what was said in a room."""

from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies
from xmppd.stanza import Condition, StanzaError
from xmppd_plugins.archive.archive import Archive
from xmppd_plugins.archive.commands import exported
from xmppd_plugins.muc.hall import Hall
from xmppd_plugins.muc.names import SUBDOMAIN

ARCHIVE = Description(
    "room archive",
    "export a room's archive as XML (XEP-0227), even if the room was destroyed, as long as its "
    "archive is kept",
    (Argument("room", "such as coven@conference.example.org", Address()),),
    answers="document",
    area="content",
)


@dataclass(frozen=True)
class RoomArchiveCommands:
    """Commands on the archives of rooms.

    Attributes:
        archive: All of them.
        hall: Where the rooms are.
    """

    archive: Archive
    hall: Hall

    def command(self) -> Command:
        """The command."""
        return Command(ARCHIVE, self.export)

    async def export(self, context: CommandContext) -> Replies:
        """Write it, a line for each message."""
        if context.actor.way == "ad-hoc":
            text = "archives of rooms can be exported only on the server's own machine"
            raise Refused(text, Condition.FORBIDDEN)
        room = context.arguments.jid("room")
        services = {SUBDOMAIN + domain for domain in self.hall.commands.domains}
        if room.local is None or not room.is_bare or room.domain not in services:
            text = f"{room} is not a room; rooms are at {', '.join(sorted(services))}"
            raise Refused(text, Condition.ITEM_NOT_FOUND)
        try:
            await self.archive.catch_up(room.bare)
        except StanzaError as error:
            raise Refused(str(error), error.condition) from error
        async for line in exported(self.archive, room):
            yield line


__all__ = ["RoomArchiveCommands"]
