"""Commands about push."""

from xmppd.account.accounts import Accounts
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import Condition

from .registrations import PushRecord, Registrations

LIST = Description(
    "push list",
    "show the push services of an account",
    (Argument("account", "such as romeo@example.org", AccountName()),),
    who="owner",
    area="accounts",
    empty="no client has registered for push",
)


class PushRow(Row, frozen=True):
    """A push service that is told of an account's messages."""

    service: str
    device: str
    unseen: int
    sent: int
    failed: int
    last_error: str


def list_command(registrations: Registrations, accounts: Accounts) -> Command:
    """The command that shows registrations."""

    async def show(context: CommandContext) -> Replies:
        account = context.arguments.jid("account").bare
        records, known = await registrations.records(account), await registrations.of(account)
        if not known and not await accounts.store.exists(account):
            raise Refused(f"{account} does not exist", Condition.ITEM_NOT_FOUND)
        for each in known:
            record = records.get(each.key, PushRecord())
            counts = record.unseen, record.sent, record.failed
            yield PushRow(each.service, each.device, *counts, record.last_error)

    return Command(LIST, show, (PushRow,))


__all__ = ["list_command"]
