"""Commands that show accounts."""

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from operator import attrgetter

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName, Choice, DomainName, Number
from xmppd.command.other_nodes import Gathered, gathered
from xmppd.command.reply import Replies, Row
from xmppd.command.roles import Roles
from xmppd.ctl.declared import Declared
from xmppd.ctl.sessions import SessionRow
from xmppd.ctl.times import iso
from xmppd.ctl.users import ACCOUNTS, existing
from xmppd.roster.roster_manager import RosterManager
from xmppd.routing.routing_table import RoutingTable
from xmppd.session.session import Session
from xmppd.stanza import JID
from xmppd.stanza.date_time import date_time
from xmppd.store.accounts import AccountInfo, AccountStore
from xmppd.store.devices import DeviceStore
from xmppd.store.last_presences import PresenceStore

PAGE = 1_000
MAX_ROWS = 1_000_000_000
KEPT, HERE = ("registered", "disabled"), ("online", "active", "idle")

DOMAIN = Argument("--domain", "only accounts of this domain", DomainName())
AFTER = Argument("--after", "only accounts whose names sort after this one", AccountName())
ROWS = Argument("--rows", "at most this many", Number(1, MAX_ROWS))


def _state(*states: str) -> Argument:
    return Argument("--state", f"which accounts; {states[0]} by default", Choice(states))


class UserRow(Row, frozen=True):
    """An account, in a list."""

    least = ("disabled_until",)

    account: str
    sessions: int
    created: str | None
    last_seen: str | None
    disabled: bool
    disabled_until: str | None


class OnlineUser(Row, frozen=True):
    """An account that is online."""

    account: str
    sessions: int
    active: bool


class UserShown(Row, frozen=True):
    """The data of an account that need no measuring.

    Attributes:
        last_login: The last login if the account is online, or else the last logout.
        created: When the account was created.
        disabled: Whether it is disabled.
        disabled_until: When it is enabled by itself; nothing if it is not, or is not disabled.
        roles: The roles that the configuration gives it; everybody has that of a user.
        devices: The clients that have tokens for it, online or not.
        contacts: The contacts in its roster, including the members of its shared groups.
    """

    account: str
    last_login: str | None
    created: str | None
    disabled: bool
    disabled_until: str | None
    roles: list[str]
    contacts: int
    devices: int
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
    devices: DeviceStore
    routes: RoutingTable
    rosters: RosterManager
    roles: Roles

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def list_all(self, context: CommandContext) -> Replies:
        """List accounts, in order of their names."""
        told = context.arguments
        disabled, left = told.text("state") == "disabled", told.number("rows", MAX_ROWS)
        after = told.jids("after")
        elsewhere = await self._online_elsewhere(context)
        others: Counter[str] = Counter()
        for row in elsewhere.rows:
            if isinstance(row, OnlineUser):
                others[row.account] += row.sessions
        domains = told.domains("domain")
        if after and after[0].domain in domains:
            domains = domains[domains.index(after[0].domain) :]
        for domain in domains:
            begin = after[0].bare if after and after[0].domain == domain else ""
            async for info in self._found(domain, begin, min(left, PAGE)):
                if info.disabled or not disabled:
                    here = len(self.routes.sessions_here(info.account))
                    yield _row(info, here + others[info.account])
                    left -= 1
                if not left:
                    return
        elsewhere.check()

    async def online(self, context: CommandContext) -> Replies:
        """List accounts that are online, in order of their names, with guests."""
        told = context.arguments
        state, rows = told.text("state", "online"), told.number("rows", MAX_ROWS)
        people, elsewhere = await self._online(context)
        found = [row for row in people.values() if _is_in(row, state)]
        for row in sorted(found, key=attrgetter("account"))[:rows]:
            yield row
        elsewhere.check()

    async def count(self, context: CommandContext) -> Replies:
        """Count them for each domain."""
        state = context.arguments.text("state", "registered")
        people, elsewhere = await self._online(context)
        for domain in context.arguments.domains("domain"):
            if state in KEPT:
                number = await self._count(domain, state)
            else:
                end = f"@{domain}"
                found = (row for row in people.values() if row.account.endswith(end))
                number = sum(_is_in(row, state) for row in found)
            yield UserCount(domain, state, number)
        elsewhere.check()

    async def show(self, context: CommandContext) -> Replies:
        """Show accounts, in the order in which they are named."""
        accounts = await existing(self.accounts.exists, context.arguments.jids("account"))
        left = await self.presences.last_presence([account.bare for account in accounts])
        missing = list[str]()
        for account in accounts:
            elsewhere = await gathered(context.others, "session list", {"account": account.bare})
            missing += elsewhere.missing
            seen = left.get(account.bare)
            yield await self._shown(account, None if seen is None else seen.seen, elsewhere.rows)
        Gathered(missing=sorted(set(missing))).check()

    async def _found(
        self, domain: str, after: str = "", limit: int = PAGE
    ) -> AsyncIterator[AccountInfo]:
        while page := await self.accounts.accounts(domain, after=after, limit=limit):
            for info in page:
                yield info
            after = page[-1].account

    async def _count(self, domain: str, state: str) -> int:
        if state == "registered":
            return await self.accounts.count_accounts(domain)
        return len([1 async for info in self._found(domain) if info.disabled])

    async def _online(self, context: CommandContext) -> tuple[dict[str, OnlineUser], Gathered]:
        """Who is online in the service, by bare JID; and what other nodes have answered."""
        elsewhere = await self._online_elsewhere(context)
        people = {
            row.account: row
            for domain in context.arguments.domains("domain")
            for row in self._online_here(domain)
        }
        for row in elsewhere.rows:
            if isinstance(row, OnlineUser):
                known = people.get(row.account, OnlineUser(row.account, 0, False))
                sessions, active = known.sessions + row.sessions, known.active or row.active
                people[row.account] = OnlineUser(row.account, sessions, active)
        return people, elsewhere

    async def _online_elsewhere(self, context: CommandContext) -> Gathered:
        named = {key: value for key, value in context.given.items() if key == "domain"}
        return await gathered(context.others, "user online", named)

    def _online_here(self, domain: str) -> Iterator[OnlineUser]:
        """Who is online at this node."""
        end, routes = f"@{domain}", self.routes
        for bare in routes.users:
            if bare.endswith(end):
                active = any(map(is_active, routes.available_here(bare)))
                yield OnlineUser(bare, len(routes.sessions_here(bare)), active)

    async def _shown(self, account: JID, left: float | None, elsewhere: list[Row]) -> UserShown:
        here = self.routes.sessions_here(account.bare)
        others = [row for row in elsewhere if isinstance(row, SessionRow)]
        since = [session.since for session in here] or ([] if others or left is None else [left])
        logins = [date_time(max(since))] if since else []
        logins += [row.since for row in others if row.since is not None]
        resources = [session.jid.resource for session in here]
        resources += [JID.prepared(row.jid).resource for row in others]
        addresses = {session.connection.address for session in here}
        roster = await self.rosters.roster(account)
        info = await self.accounts.info(account.bare)
        return UserShown(
            account=account.bare,
            last_login=max(logins, default=None),
            created=None if info is None else date_time(info.created),
            disabled=info is not None and info.disabled,
            disabled_until=None if info is None else disabled_until(info),
            roles=self.roles.roles_of(account),
            devices=len(await self.devices.devices(account.bare)),
            contacts=sum(1 for _ in roster.shown()),
            resources=sorted(resource or "" for resource in resources),
            addresses=sorted(addresses.union(row.address for row in others)),
        )


def _row(info: AccountInfo, sessions: int) -> UserRow:
    return UserRow(
        account=info.account,
        sessions=sessions,
        created=iso(info.created),
        last_seen=iso(info.last_seen),
        disabled=info.disabled,
        disabled_until=disabled_until(info),
    )


def disabled_until(info: AccountInfo) -> str | None:
    """When an account that is disabled is enabled by itself."""
    return iso(info.disabled_until) if info.disabled else None


def _is_in(row: OnlineUser, state: str) -> bool:
    """Whether somebody who is online is active, or idle, as asked."""
    return state == "online" or row.active == (state == "active")


def is_active(session: Session) -> bool:
    """Whether an available session is not away."""
    presence = session.presence
    if presence is None or b"show" not in presence.payload.raw:  # mostly: nothing to parse
        return presence is not None
    active = presence.show not in ("away", "xa")
    presence.payload.forget_trees()
    return active


COMMANDS: tuple[Declared[PeopleCommands], ...] = (
    Declared(
        Description(
            "user list",
            "list accounts",
            (DOMAIN, _state(*KEPT), AFTER, ROWS),
            needs="store",
            area="accounts",
            empty="no account was found",
        ),
        PeopleCommands.list_all,
        (UserRow,),
    ),
    Declared(
        Description(
            "user online",
            "list the accounts that are online",
            (DOMAIN, _state(*HERE), ROWS),
            area="accounts",
            empty="nobody is online",
        ),
        PeopleCommands.online,
        (OnlineUser,),
    ),
    Declared(
        Description(
            "user count",
            "count accounts",
            (DOMAIN, _state(*KEPT, *HERE)),
            needs="store",
            area="accounts",
        ),
        PeopleCommands.count,
        (UserCount,),
    ),
    Declared(
        Description(
            "user show",
            "show an account: its state, roles, sessions, devices and number of contacts",
            (ACCOUNTS,),
            needs="store",
            area="accounts",
            answers="record",
        ),
        PeopleCommands.show,
        (UserShown,),
    ),
)
