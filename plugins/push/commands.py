"""Commands about push."""

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName
from xmppd.command.reply import Replies, Row

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


def list_command(registrations: Registrations) -> Command:
    """The command that shows registrations."""

    async def show(context: CommandContext) -> Replies:
        account = context.arguments.jid("account").bare
        records = await registrations.records(account)
        for each in await registrations.of(account):
            record = records.get(each.key, PushRecord())
            counts = record.unseen, record.sent, record.failed
            yield PushRow(each.service, each.device, *counts, record.last_error)

    return Command(LIST, show, (PushRow,))


__all__ = ["list_command"]
