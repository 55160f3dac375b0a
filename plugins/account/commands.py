"""Commands: links for a new password, and accounts that are to end."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from xmppd.auth.provider import Passwords
from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Duration, Number
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.stanza import Condition
from xmppd.stanza.date_time import date_time

from .endings import AccountEndings
from .resets import PasswordResets

MAX_LIFETIME_S = 7 * 86_400
MAX_ROWS = 10_000

ACCOUNT = Argument("account", "such as romeo@example.org", AccountName())
RESET = Description(
    "user reset",
    "create a link with which the owner of an account can choose a new password",
    (
        ACCOUNT,
        Argument("--expires", "how long the link is valid, such as 12h", Duration(MAX_LIFETIME_S)),
    ),
    effect="changes",
    answers="record",
    area="accounts",
)
ENDING = Description(
    "user ending",
    "list the accounts that their owners want to remove, and when the server will remove them",
    (Argument("--rows", "at most this many", Number(1, MAX_ROWS)),),
    area="accounts",
)


class ResetRow(Row, frozen=True):
    """A link that was just made; nobody can tell it later."""

    account: str
    url: str
    expires: str


class EndingRow(Row, frozen=True):
    """An account that is to end."""

    account: str
    ends: str


@dataclass(frozen=True)
class AccountPageCommands:
    """The commands.

    Attributes:
        resets: The links.
        endings: The accounts that are to end.
        exists: Whether there is an account of a bare JID.
        passwords: Know which are kept here.
        url: The link of a token, for the account of a domain; empty where no browser can come.
    """

    resets: PasswordResets
    endings: AccountEndings
    exists: Callable[[str], Awaitable[bool]]
    passwords: Passwords
    url: Callable[[str, str], str]

    def commands(self) -> list[Command]:
        """All of them."""
        why_not = self.why_no_reset
        reset = Command(RESET, self.reset, (ResetRow,), why_not)
        return [reset, Command(ENDING, self.ending, (EndingRow,))]

    def why_no_reset(self, told: Mapping[str, object]) -> str:
        """Why there is no link for an account: its password is not kept here."""
        account = str(told.get("account") or "")
        return self.passwords.why_not(account.rpartition("@")[2]) if account else ""

    async def reset(self, context: CommandContext) -> Replies:
        """Make a link; the one before does not hold any more."""
        account = context.arguments.jid("account")
        if not await self.exists(account.bare):
            raise Refused(f"{account} does not exist", Condition.ITEM_NOT_FOUND)
        if why := self.passwords.why_not(account.domain):
            raise Refused(why, argument="account")
        if not self.url(account.domain, ""):
            raise Refused("the address of this page is unknown: set web.url")
        lifetime_s = context.arguments.number("expires", int(self.endings.settings.reset_s))
        token, expires = await self.resets.make(account, lifetime_s)
        yield ResetRow(account.bare, self.url(account.domain, token), date_time(expires))

    async def ending(self, context: CommandContext) -> Replies:
        """List them, the next ones first."""
        for account, due in await self.endings.all(context.arguments.number("rows", MAX_ROWS)):
            yield EndingRow(account, date_time(due))


__all__ = ["AccountPageCommands", "ResetRow"]
