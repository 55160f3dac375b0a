"""Commands that change accounts."""

from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from secrets import choice

from msgspec.structs import replace

from xmppd.account.accounts import Accounts
from xmppd.account.stream_ends import StreamsClosed
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.provider import Passwords
from xmppd.command.argument import DRY_RUN, Argument, Arguments
from xmppd.command.command import Command, Description
from xmppd.command.command_context import Actor, CommandContext
from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.kinds import AccountName, Duration, Flag, Moment, Secret
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import JID, Condition
from xmppd.stanza.date_time import MICROSECONDS, date_time, microseconds_of
from xmppd.stanza.phrases import counted
from xmppd.store.accounts import AccountExists

MAX_ACCOUNTS_AT_ONCE = 100

ACCOUNT = Argument("account", "such as romeo@example.org", AccountName())
ACCOUNTS = Argument("account", ACCOUNT.help, AccountName(), MAX_ACCOUNTS_AT_ONCE)
PASSWORD = Argument("password", "a password to log in with", Secret())
MAX_DISABLED_S = 3_660 * 86_400
UNTIL = Argument("--until", "when it is enabled by itself, such as 2026-10-31T12:00:00Z", Moment())
FOR = Argument("--for", "how long, such as 12h or 30d", Duration(MAX_DISABLED_S))
GENERATE = Argument("--generate", "generate a password, and show it once", Flag())

LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
"""Of generated passwords: none that is taken for another one."""

GROUPS, GROUP_LETTERS = 4, 4
"""Of a generated password, which has some 79 bits."""


class PasswordMade(Row, frozen=True):
    """A password that was generated; nobody can be shown it again."""

    account: str
    password: str


@dataclass(frozen=True)
class UserCommands:
    """The commands that change accounts: all those that are named exist, or nothing is done."""

    accounts: Accounts
    passwords: Passwords
    attempts: AttemptLimiter
    sessions: SessionManager
    domains: tuple[str, ...]
    wall_clock: Callable[[], float]

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def add(self, context: CommandContext) -> Replies:
        """Add an account; a request by a client takes its turn with others that derive keys
        (AT-5).
        """
        account, asker = context.arguments.jid("account"), self._asker(context.actor)
        address = "" if asker is None else asker.connection.address
        with judged():
            async with self.attempts.derivation(account.bare, address):
                await self.passwords.create(account.bare, context.arguments.text("password"))
        yield f"{account} was added"

    async def before_add(self, context: CommandContext) -> None:
        """Refuse a name that is taken."""
        account = context.arguments.jid("account").bare
        if await self.accounts.store.exists(account):
            raise AccountExists(account)

    async def delete(self, context: CommandContext) -> Replies:
        """Remove accounts, also from their contacts' rosters."""
        unasked: set[str] = set()
        for account in await self._others(context):
            if context.dry_run:
                yield f"{account} would be deleted, with all that belongs to it"
                continue
            ended = await self.accounts.remove(account)
            unasked.update(ended.unasked)
            yield f"{account} was deleted, with all that belonged to it; {closed(ended)}"
        check_asked(unasked)

    async def password(self, context: CommandContext) -> Replies:
        """Set a password; all streams are closed but the asker's own."""
        told = context.arguments
        account, asker = told.jid("account"), self._asker(context.actor)
        address = None if context.actor.jid is None else self._address(asker)
        made = generated() if told.flag("generate") else ""
        with judged():
            ended = await self.accounts.set_password(
                account, made or told.text("password"), spare=asker, address=address
            )
        if made:
            yield PasswordMade(account.bare, made)
        yield f"the password of {account} was changed; {closed(ended)}"
        check_asked(ended.unasked)

    async def before_password(self, context: CommandContext) -> None:
        """Refuse an account that does not exist."""
        await self._existing(context)

    async def disable(self, context: CommandContext) -> Replies:
        """Disable accounts, until they are enabled, or until a time."""
        unasked: set[str] = set()
        until = self._until(context.arguments)
        how_long = "" if until is None else f" until {date_time(until)}"
        for account in await self._others(context):
            info = await self.accounts.store.info(account.bare)
            ended = await self.accounts.disable(account, until)
            unasked.update(ended.unasked)
            if info is None or not info.disabled:
                yield f"{account} was disabled{how_long}; {closed(ended)}"
            elif info.disabled_until == until:
                yield f"{account} is already disabled{how_long}"
            else:
                yield f"{account} is now disabled{how_long or ' until somebody enables it'}"
        check_asked(unasked)

    def _until(self, told: Arguments) -> float | None:
        """When disabled accounts are enabled by themselves, in seconds since 1970.

        Raises:
            Refused: It is said twice, or is over.
        """
        if not told.given(FOR.key) and not told.given(UNTIL.key):
            return None
        if told.given(FOR.key) and told.given(UNTIL.key):
            why = "give until or for, and not both"
            raise Refused(why, Condition.BAD_REQUEST, argument=FOR.key)
        now = self.wall_clock()
        if told.given(FOR.key):
            return now + told.number(FOR.key, 0)
        until = microseconds_of(told.text(UNTIL.key)) / MICROSECONDS
        if not now < until <= now + MAX_DISABLED_S:
            why = "until must be in the future, and at most ten years from now"
            raise Refused(why, Condition.BAD_REQUEST, argument=UNTIL.key)
        return until

    async def enable(self, context: CommandContext) -> Replies:
        """Enable accounts, and forget their failed attempts."""
        for account in await self._existing(context):
            await self.accounts.enable(account)
            await self.attempts.unlock(account.bare)
            yield f"{account} was enabled"

    async def unlock(self, context: CommandContext) -> Replies:
        """Lift locks of failed attempts; a disabled account stays so."""
        for account in await self._existing(context):
            await self.attempts.unlock(account.bare)
            yield f"the failed logins of {account} were cleared"

    def why_no_password(self, told: Mapping[str, object]) -> str:
        """Why an account is given no password here: others keep those of its domain, or of all."""
        account = str(told.get("account") or "")
        domains = [account.rpartition("@")[2]] if account else self.domains
        why = [self.passwords.why_not(domain) for domain in domains]
        return why[0] if all(why) else ""

    async def _existing(self, context: CommandContext) -> list[JID]:
        return await existing(self.accounts.store.exists, context.arguments.jids("account"))

    async def _others(self, context: CommandContext) -> list[JID]:
        """The accounts, none of which is the actor's own."""
        accounts = await self._existing(context)
        if any(map(context.actor.owns, accounts)):
            raise Refused("you cannot do this to your own account", Condition.NOT_ALLOWED)
        return accounts

    def _asker(self, actor: Actor) -> LocalClientSession | None:
        return None if actor.jid is None else self.sessions.session(actor.jid)

    def _address(self, asker: LocalClientSession | None) -> str:
        """The address of the administrator's client; empty if it is not here."""
        return "" if asker is None else asker.connection.address


def generated() -> str:
    """A password that can be read out, and typed."""
    groups = ("".join(choice(LETTERS) for _ in range(GROUP_LETTERS)) for _ in range(GROUPS))
    return "-".join(groups)


def closed(ended: StreamsClosed) -> str:
    """How many streams were closed, in words."""
    return f"closed {counted(ended.streams, 'stream')}"


def check_asked(unasked: Collection[str]) -> None:
    """Say which nodes have not answered, when all else was said.

    Raises:
        Refused: Some have not.
    """
    if unasked:
        raise Refused(
            f"{', '.join(sorted(unasked))} did not answer: streams there may stay open for a while",
            status=INCOMPLETE,
            code="incomplete",
        )


async def existing(exists: Callable[[str], Awaitable[bool]], accounts: list[JID]) -> list[JID]:
    """The accounts, all of which exist.

    Raises:
        Refused: One does not exist.
    """
    for account in accounts:
        if not await exists(account.bare):
            raise Refused(f"{account} does not exist", Condition.ITEM_NOT_FOUND)
    return accounts


@contextmanager
def judged() -> Iterator[None]:
    """Refuse a password that cannot be one."""
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from error


COMMANDS: tuple[Declared[UserCommands], ...] = (
    Declared(
        Description(
            "user add",
            "add an account",
            (ACCOUNT, PASSWORD),
            "changes",
            needs="store",
            area="accounts",
        ),
        UserCommands.add,
        why_not=UserCommands.why_no_password,
        before_secret=UserCommands.before_add,
    ),
    Declared(
        Description(
            "user delete",
            "delete accounts and all that belongs to them",
            (ACCOUNTS, DRY_RUN),
            "ends",
            needs="store",
            area="accounts",
        ),
        UserCommands.delete,
    ),
    Declared(
        Description(
            "user password",
            "change the password of an account",
            (ACCOUNT, replace(PASSWORD, unless=GENERATE.key), GENERATE),
            "changes",
            needs="store",
            area="accounts",
        ),
        UserCommands.password,
        (PasswordMade,),
        why_not=UserCommands.why_no_password,
        before_secret=UserCommands.before_password,
    ),
    Declared(
        Description(
            "user disable",
            "disable accounts, so that nobody can log in to them, for good or until a time",
            (ACCOUNTS, UNTIL, FOR),
            "changes",
            needs="store",
            area="accounts",
        ),
        UserCommands.disable,
    ),
    Declared(
        Description(
            "user enable",
            "enable disabled accounts again, and clear their failed logins",
            (ACCOUNTS,),
            "changes",
            needs="store",
            area="accounts",
        ),
        UserCommands.enable,
    ),
    Declared(
        Description(
            "user unlock",
            "clear the failed logins of accounts",
            (ACCOUNTS,),
            "changes",
            needs="store",
            asks="all",
            area="accounts",
        ),
        UserCommands.unlock,
    ),
)
