"""Commands on accounts."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext, account
from xmppd.ctl.protocol import Refused, Reply
from xmppd.stanza import JID
from xmppd.stanza.date_time import date_time
from xmppd.store.base import AccountInfo

PAGE = 1_000

_ACCOUNT = Argument("account", "such as romeo@example.org")
_PASSWORD = Argument("password", "asked for", "secret")


async def _add(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    with _judged():
        await context.server.passwords.create(jid.bare, arguments.text("password"))
    yield f"{jid} was added"


async def _delete(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    streams = _streams(context, jid)
    await context.server.accounts.remove(jid)
    yield f"{jid} was deleted, with all that belonged to it; {streams} were closed"


async def _password(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    streams = _streams(context, jid)
    with _judged():
        await context.server.accounts.set_password(jid, arguments.text("password"))
    yield f"the password of {jid} was changed; {streams} were closed"


async def _disable(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    streams = _streams(context, jid)
    await context.server.accounts.disable(jid)
    yield f"{jid} was disabled; {streams} were closed"


async def _enable(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    await context.server.accounts.enable(jid)
    yield f"{jid} was enabled"


async def _unlock(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    jid = account(context, arguments.text("account"))
    await context.server.attempts.unlock(jid.bare)
    yield f"the failed logins of {jid} are forgotten"


async def _list(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    wanted = arguments.text("domain")
    if wanted and wanted not in context.server.domains:
        raise Refused(f"{wanted} is not served here")
    for domain in [wanted] if wanted else context.server.domains:
        after = ""
        while page := await context.server.store.accounts(domain, after=after, limit=PAGE):
            for info in page:
                yield _row(context, info)
            after = page[-1].account


def _row(context: CommandContext, info: AccountInfo) -> Reply:
    locked = info.locked_until > context.server.wall_clock()
    return {
        "account": info.account,
        "sessions": len(context.server.routing_table.sessions(info.account)),
        "created": iso(info.created),
        "last_seen": iso(info.last_seen),
        "disabled": info.disabled,
        "locked_until": iso(info.locked_until) if locked else None,
    }


@contextmanager
def _judged() -> Iterator[None]:
    """A password that cannot be one is refused."""
    try:
        yield
    except ValueError as error:
        raise Refused(str(error)) from error


def _streams(context: CommandContext, jid: JID) -> str:
    """How many streams an account has, in words."""
    sessions = context.server.session_manager.sessions.values()
    count = sum(1 for s in sessions if s.account is not None and s.account.bare == jid.bare)
    return "1 stream" if count == 1 else f"{count} streams"


def iso(seconds: float | None) -> str | None:
    """A time as people and programs read it."""
    return None if seconds is None else date_time(seconds)


COMMANDS = (
    Command("user add", "add an account", _add, (_ACCOUNT, _PASSWORD)),
    Command("user delete", "delete an account and all that belongs to it", _delete, (_ACCOUNT,)),
    Command("user password", "give an account another password", _password, (_ACCOUNT, _PASSWORD)),
    Command(
        "user list",
        "list accounts",
        _list,
        (Argument("--domain", "only of this domain"),),
    ),
    Command("user disable", "close an account to its owner", _disable, (_ACCOUNT,)),
    Command("user enable", "open a disabled account again", _enable, (_ACCOUNT,)),
    Command("user unlock", "forget an account's failed logins", _unlock, (_ACCOUNT,)),
)
