"""Commands about guestbooks, and the form by which a client signs one."""

from collections.abc import Mapping

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.command_form import CommandForm, Filled
from xmppd.command.kinds import AccountName, Number
from xmppd.command.reply import Replies, Row
from xmppd.stanza import JID
from xmppd.stanza.date_time import date_time
from xmppd.stanza.form import Field

from .book import NS, Guestbook
from .entries import LATEST

ACCOUNT = Argument("account", "the account whose guestbook it is", AccountName())
NUMBER = Number(1, LATEST)
SIGN = Description(
    "guestbook sign",
    "sign an account's guestbook",
    (ACCOUNT, Argument("words", "the entry")),
    effect="changes",
    who="everybody",
    area="data",
)
LIST = Description(
    "guestbook list",
    "show an account's guestbook, the latest entries first",
    (ACCOUNT, Argument("--before", "only entries before this number", NUMBER)),
    who="everybody",
    area="data",
    empty="nobody has signed",
)
ERASE = Description(
    "guestbook erase",
    "erase entries of a guestbook",
    (ACCOUNT, Argument("--number", "only the entry of this number", NUMBER), DRY_RUN),
    effect="ends",
    who="owner",
    area="data",
)


class EntryRow(Row, frozen=True):
    """An entry of a guestbook."""

    number: int
    by: str
    at: str
    words: str


def commands(guestbook: Guestbook) -> list[Command]:
    """The commands; everybody signs and reads where they may see the account."""

    async def seen(context: CommandContext) -> JID:
        account, actor = context.arguments.jid("account"), context.actor
        if actor.jid is not None and not actor.admin:
            await guestbook.check_seen(actor.jid, account)
        return account

    async def sign(context: CommandContext) -> Replies:
        account = await seen(context)
        guest = context.actor.jid or JID.parse(account.domain)
        entry = await guestbook.sign(account, guest, context.arguments.text("words"))
        yield f"{entry.guest} has signed the guestbook of {account} as number {entry.number}"

    async def show(context: CommandContext) -> Replies:
        account = await seen(context)
        for entry in await guestbook.page(account, context.arguments.number("before", LATEST)):
            yield EntryRow(entry.number, entry.guest, date_time(entry.signed), entry.words)

    async def erase(context: CommandContext) -> Replies:
        account, arguments = context.arguments.jid("account"), context.arguments
        number = arguments.number("number", 0) or None
        if context.dry_run:
            what = "all entries" if number is None else f"entry {number}"
            yield f"would erase {what} of the guestbook of {account}"
            return
        yield f"entries erased: {await guestbook.entries.erase(account, number)}"

    return [Command(SIGN, sign), Command(LIST, show, (EntryRow,)), Command(ERASE, erase)]


def _told(filled: Filled) -> Mapping[str, object]:
    return {"account": filled.values["account"][0], "words": "\n".join(filled.values["words"])}


SIGN_FORM = CommandForm(
    f"{NS}#sign",
    "Sign a guestbook",
    SIGN.name,
    NS,
    _told,
    (
        Field("account", "Whose guestbook", "jid-single", required=True),
        Field("words", "Your entry", "text-multi", required=True),
    ),
    whole=True,
)
"""As its own form would be, but with lines, as books have them."""

__all__ = ["SIGN_FORM", "commands"]
