"""Commands that show accounts."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Choice, DomainName, Number
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.users import ACCOUNTS, existing
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session import Session
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID
from xmppd.stanza.date_time import date_time
from xmppd.store.accounts import AccountInfo, AccountStore
from xmppd.store.last_presences import PresenceStore

PAGE = 1_000
MAX_ROWS = 1_000_000_000
KEPT, HERE = ("registered", "disabled"), ("online", "active", "idle")

DOMAIN = Argument("--domain", "only of this domain", DomainName())
ROWS = Argument("--rows", "so many at most", Number(1, MAX_ROWS))


def _state(*states: str) -> Argument:
    return Argument("--state", f"{states[0]}, if nothing is said", Choice(states))


class UserRow(Row, frozen=True):
    """An account, in a list."""

    account: str
    sessions: int
    created: str | None
    last_seen: str | None
    disabled: bool


class OnlineUser(Row, frozen=True):
    """An account that is online."""

    account: str
    sessions: int
    active: bool


class UserShown(Row, frozen=True):
    """The data of an account that need no measuring.

    Attributes:
        last_login: The time since when it is online, or when it left.
    """

    account: str
    last_login: str | None
    contacts: int
    resources: list[str]
    addresses: list[str]


class UserCount(Row, frozen=True):
    """The number of accounts of a domain in a state."""

    domain: str
    state: str
    accounts: int


@dataclass(frozen=True)
class PeopleCommands:
    """The commands that show accounts.

    One is online with a bound resource, available or not; active if one of its available sessions
    is not away; idle if it is online and not active.
    """

    accounts: AccountStore
    presences: PresenceStore
    sessions: SessionManager
    routes: RoutingTable
    rosters: RosterManager

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List accounts, in order of their names."""
        told = context.arguments
        disabled, left = told.text("state") == "disabled", told.number("rows", MAX_ROWS)
        for domain in told.domains("domain"):
            async for info in self._found(domain):
                if info.disabled or not disabled:
                    yield self._row(info)
                    left -= 1
                if not left:
                    return

    async def online(self, context: CommandContext) -> Replies:
        """List accounts that are online, in order of their names, with guests."""
        told = context.arguments
        state, rows = told.text("state", "online"), told.number("rows", MAX_ROWS)
        found = [bare for domain in told.domains("domain") for bare in self._online(domain, state)]
        for bare in sorted(found)[:rows]:
            sessions = len(self.routes.sessions(bare))
            yield OnlineUser(bare, sessions, self._is_active(bare))

    async def count(self, context: CommandContext) -> Replies:
        """Count them for each domain."""
        state = context.arguments.text("state", "registered")
        for domain in context.arguments.domains("domain"):
            yield UserCount(domain, state, await self._count(domain, state))

    async def show(self, context: CommandContext) -> Replies:
        """Show accounts, in the order in which they are named."""
        accounts = await existing(self.accounts.exists, context.arguments.jids("account"))
        left = await self.presences.last_presence([account.bare for account in accounts])
        for account in accounts:
            seen = left.get(account.bare)
            yield await self._shown(account, None if seen is None else seen.seen)

    async def _found(self, domain: str) -> AsyncIterator[AccountInfo]:
        after = ""
        while page := await self.accounts.accounts(domain, after=after, limit=PAGE):
            for info in page:
                yield info
            after = page[-1].account

    async def _count(self, domain: str, state: str) -> int:
        if state == "registered":
            return await self.accounts.count_accounts(domain)
        if state == "disabled":
            return len([1 async for info in self._found(domain) if info.disabled])
        return sum(1 for _ in self._online(domain, state))

    def _online(self, domain: str, state: str) -> Iterator[str]:
        """Bare JIDs that are online, or active, or idle."""
        end = f"@{domain}"
        for bare in self.routes.users:
            if bare.endswith(end) and (
                state == "online" or self._is_active(bare) == (state == "active")
            ):
                yield bare

    def _is_active(self, bare: str) -> bool:
        return any(map(is_active, self.routes.available(bare)))

    def _row(self, info: AccountInfo) -> UserRow:
        return UserRow(
            account=info.account,
            sessions=len(self.routes.sessions(info.account)),
            created=iso(info.created),
            last_seen=iso(info.last_seen),
            disabled=info.disabled,
        )

    async def _shown(self, account: JID, left: float | None) -> UserShown:
        sessions = list(self.sessions.local_sessions(account.bare))
        roster = await self.rosters.roster(account)
        return UserShown(
            account=account.bare,
            last_login=iso(max((session.since for session in sessions), default=left)),
            contacts=sum(1 for _ in roster.shown()),
            resources=sorted(session.jid.resource or "" for session in sessions),
            addresses=sorted({session.connection.address for session in sessions}),
        )


def is_active(session: Session) -> bool:
    """Whether an available session is not away."""
    presence = session.presence
    if presence is None or b"show" not in presence.payload.raw:  # mostly: nothing to parse
        return presence is not None
    active = presence.show not in ("away", "xa")
    presence.payload.forget_trees()
    return active


def iso(seconds: float | None) -> str | None:
    """A time, for people and programs."""
    return None if seconds is None else date_time(seconds)


COMMANDS: tuple[Declared[PeopleCommands], ...] = (
    Declared(
        Description("user list", "list accounts", (DOMAIN, _state(*KEPT), ROWS), needs="store"),
        PeopleCommands.list_all,
        (UserRow,),
    ),
    Declared(
        Description("user online", "list accounts that are here", (DOMAIN, _state(*HERE), ROWS)),
        PeopleCommands.online,
        (OnlineUser,),
    ),
    Declared(
        Description(
            "user count", "count accounts", (DOMAIN, _state(*KEPT, *HERE)), needs="store"
        ),
        PeopleCommands.count,
        (UserCount,),
    ),
    Declared(
        Description(
            "user show", "show where accounts are, and how many contacts they have", (ACCOUNTS,),
            needs="store",
        ),
        PeopleCommands.show,
        (UserShown,),
    ),
)  # fmt: skip
