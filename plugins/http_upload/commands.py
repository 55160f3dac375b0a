"""Commands on uploaded files."""

from xmppd.account.accounts import Accounts
from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Text
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import Condition
from xmppd.stanza.date_time import date_time

from .uploads import Uploads

ACCOUNT = Argument("account", "the account whose files they are", AccountName())
LIST = Description(
    "upload list",
    "list the files of an account",
    (ACCOUNT,),
    who="owner",
    area="data",
    empty="the account has no files",
)
DELETE = Description(
    "upload delete",
    "delete a file of an account",
    (ACCOUNT, Argument("id", 'the id that "upload list" shows, or "all"', Text()), DRY_RUN),
    effect="ends",
    who="owner",
    area="data",
)
EXPIRE = Description("upload expire", "delete expired files now", (DRY_RUN,), "ends", area="data")
SIZES = Description(
    "upload sizes", "show how much all files take together, and where they are", area="data"
)


class UploadSizesRow(Row, frozen=True):
    """All files together.

    Attributes:
        bytes: Of all files, added up every hour.
        directory: Where they are; nothing if another service has them.
    """

    bytes: int
    directory: str | None


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


def commands_on(uploads: Uploads, accounts: Accounts) -> list[Command]:
    """All commands on files."""

    async def show(context: CommandContext) -> Replies:
        account = context.arguments.jid("account")
        found = await uploads.of_account(account)
        if not found and not await accounts.store.exists(account.bare):
            raise Refused(f"{account} does not exist", Condition.ITEM_NOT_FOUND)
        for each in found:
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
        if id == "all" and context.dry_run:
            count = len(await uploads.of_account(account))
            yield f"files of {account.bare} that would be deleted: {count}"
            return
        if id == "all":
            await uploads.end_all(account)
            yield f"deleted the files of {account.bare}"
            return
        if not any(each.id.hex() == id for each in await uploads.of_account(account)):
            raise Refused(f"{account.bare} has no file {id}")
        if context.dry_run:
            yield f"would delete file {id}"
            return
        await uploads.remove(bytes.fromhex(id))
        yield f"deleted file {id}"

    async def expire(context: CommandContext) -> Replies:
        if context.dry_run:
            yield f"expired files that would be deleted: {await uploads.over()}"
            return
        await uploads.sweep()
        yield "deleted the expired files"

    async def sizes(context: CommandContext) -> Replies:
        directory = str(uploads.folder.path) if uploads.storage is None else None
        yield UploadSizesRow(bytes=uploads.kept_bytes, directory=directory)

    return [
        Command(LIST, show, (UploadRow,)),
        Command(DELETE, delete),
        Command(EXPIRE, expire),
        Command(SIZES, sizes, (UploadSizesRow,)),
    ]


__all__ = ["commands_on"]
