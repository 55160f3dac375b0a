"""Commands on messages that wait for accounts that are away."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from xmppd.command.argument import DRY_RUN, Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Text
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.users import ACCOUNT, existing
from xmppd.stanza import Condition
from xmppd.stanza.date_time import date_time
from xmppd.stanza.phrases import counted
from xmppd.store.accounts import AccountStore
from xmppd.store.offline import OfflineMessage, OfflineStore

PAGE = 1_000
_ALL = "all"


class WaitingRow(Row, frozen=True):
    """A message that waits."""

    id: int
    stored: str
    bytes: int


@dataclass(frozen=True)
class WaitingCommands:
    """The commands that show what waits for an account, and delete it."""

    accounts: AccountStore
    offline: OfflineStore

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List messages, the oldest first; not what is in them."""
        async for each in self._messages(await self._account(context)):
            yield WaitingRow(id=each.id, stored=date_time(each.stored), bytes=len(each.stanza))

    async def delete(self, context: CommandContext) -> Replies:
        """Delete one message, or all."""
        account, wanted = await self._account(context), context.arguments.text("id")
        ids = [each.id async for each in self._messages(account)]
        if wanted != _ALL:
            ids = [each for each in ids if str(each) == wanted]
            if not ids:
                raise Refused(f"no message {wanted} waits for {account}", Condition.ITEM_NOT_FOUND)
        if context.dry_run:
            yield f"would delete {counted(len(ids), 'message')}"
            return
        await self.offline.delete_offline(account, ids)
        yield f"deleted {counted(len(ids), 'message')}"

    async def _account(self, context: CommandContext) -> str:
        [account] = await existing(self.accounts.exists, [context.arguments.jid("account")])
        return account.bare

    async def _messages(self, account: str) -> AsyncIterator[OfflineMessage]:
        after = 0
        while page := await self.offline.offline_messages(account, after=after, limit=PAGE):
            for each in page:
                yield each
            after = page[-1].id


COMMANDS: tuple[Declared[WaitingCommands], ...] = (
    Declared(
        Description(
            "offline list",
            "list the messages that wait for an account, without what is in them",
            (ACCOUNT,),
            needs="store",
            area="data",
            empty="no message waits",
        ),
        WaitingCommands.list_all,
        (WaitingRow,),
    ),
    Declared(
        Description(
            "offline delete",
            "delete a message that waits for an account, or all of them",
            (
                ACCOUNT,
                Argument("id", f'the id that "offline list" shows; or {_ALL}', Text()),
                DRY_RUN,
            ),
            "ends",
            needs="store",
            area="data",
        ),
        WaitingCommands.delete,
    ),
)
