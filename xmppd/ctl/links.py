"""The command that makes links by which somebody comes to a page without a password (CN-2)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.command_table import CommandTable
from xmppd.command.kinds import AccountName, Choice
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.config.scopes import ROLES
from xmppd.ctl.declared import Declared
from xmppd.pages.visitors import LINK_S, Visitors
from xmppd.stanza import Condition
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import Site

PAGES: dict[str, Site] = {"console": "console", "account": "web"}
"""Where a link may lead, and which listeners serve that."""


class LinkRow(Row, frozen=True):
    """A link that was just made; nobody can tell it later."""

    account: str
    url: str
    expires_s: float


@dataclass(frozen=True)
class LinkCommands:
    """The command that makes them.

    Attributes:
        visitors: Let those in who have one.
        table: Has the roles.
        doors: Know where pages are.
        exists: Whether there is an account of a bare JID.
    """

    visitors: Visitors
    table: CommandTable
    doors: HTTPDoors
    exists: Callable[[str], Awaitable[bool]]

    def commands(self) -> list[Command]:
        """All of them."""
        return [declared.by(self) for declared in COMMANDS]

    async def link(self, context: CommandContext) -> Replies:
        """Make one; whoever has it is that account, for pages."""
        account = context.arguments.jid("account")
        page = context.arguments.text("page") or "console"
        if not await self.exists(account.bare):
            raise Refused(f"{account} does not exist", Condition.ITEM_NOT_FOUND)
        if page == "console" and not self.table.roles.scopes_of(account) - ROLES["user"]:
            raise Refused(
                f"{account} may not use the console; add the account to admins or to a [[role]], "
                "or create a link with --page account",
                argument="account",
            )
        root = f"/{page}/"
        found = self.doors.paths.find(f"{root}link")
        base = self.doors.base_url(account.domain, PAGES[page])
        if found is None or base is None:
            raise Refused(
                f"no listener serves {root} at an address that browsers can reach", argument="page"
            )
        url = f"{base}{root}link#{self.visitors.make_link(account)}"
        yield LinkRow(account.bare, url, LINK_S)


COMMANDS: tuple[Declared[LinkCommands], ...] = (
    Declared(
        Description(
            "console link",
            "create a one-time link that logs an account in to the console or to its own page",
            (
                Argument("account", "such as romeo@example.org", AccountName()),
                Argument("--page", "which page; console by default", Choice(tuple(PAGES))),
            ),
            "changes",
            answers="record",
            area="accounts",
        ),
        LinkCommands.link,
        (LinkRow,),
    ),
)
