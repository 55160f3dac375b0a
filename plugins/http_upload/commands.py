"""Commands on uploaded files."""

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Text
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza.date_time import date_time

from .uploads import Uploads

ACCOUNT = Argument("account", "whose files they are", AccountName())
LIST = Description("upload list", "show the files of an account", (ACCOUNT,), who="owner")
DELETE = Description(
    "upload delete",
    "delete a file of an account",
    (ACCOUNT, Argument("id", 'as "upload list" shows it, or "all"', Text())),
    effect="ends",
    who="owner",
)
EXPIRE = Description("upload expire", "delete now the files whose time is over", effect="ends")


class UploadRow(Row, frozen=True):
    """A file.

    Attributes:
        id: In its URL.
        name: As its uploader says.
        type: Its media type.
        bytes: Its size.
        uploaded: When.
        expires: When it is deleted; empty for never.
    """

    id: str
    name: str
    type: str
    bytes: int
    uploaded: str
    expires: str


def commands_on(uploads: Uploads) -> list[Command]:
    """All commands on files."""

    async def show(context: CommandContext) -> Replies:
        for each in await uploads.of_account(context.arguments.jid("account")):
            yield UploadRow(
                each.id.hex(),
                each.name,
                each.type,
                each.size,
                date_time(each.began),
                "" if each.expires is None else date_time(each.expires),
            )

    async def delete(context: CommandContext) -> Replies:
        account, id = context.arguments.jid("account"), context.arguments.text("id")
        if id == "all":
            await uploads.end_all(account)
            yield f"the files of {account.bare} are deleted"
            return
        if not any(each.id.hex() == id for each in await uploads.of_account(account)):
            raise Refused(f"{account.bare} has no file {id}")
        await uploads.remove(bytes.fromhex(id))
        yield f"the file {id} is deleted"

    async def expire(context: CommandContext) -> Replies:
        await uploads.sweep()
        yield "the files whose time is over are deleted"

    return [Command(LIST, show, (UploadRow,)), Command(DELETE, delete), Command(EXPIRE, expire)]


__all__ = ["commands_on"]
