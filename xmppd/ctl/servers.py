"""Commands on other servers."""

from collections.abc import AsyncGenerator

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext
from xmppd.ctl.protocol import Refused, Reply
from xmppd.ctl.users import iso
from xmppd.resolve.attempts import AttemptStep
from xmppd.stanza.jid import prepare_domain

_DOMAIN = Argument("domain", "theirs, such as example.net")


async def _list(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    wanted = _domain(arguments) if arguments.given("domain") else ""
    for row in context.server.foreign_routes.state():
        if wanted in ("", row.remote):
            yield {
                "remote": row.remote,
                "local": row.local,
                "direction": row.direction,
                "state": row.state,
                "security": row.security,
                "address": row.address,
                "queued_stanzas": row.queued_stanzas,
                "queued_bytes": row.queued_bytes,
                "passed": row.passed,
                "since_s": round(row.since_s),
            }


async def _close(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    domain = _domain(arguments)
    closed = context.server.foreign_routes.close_to(domain)
    yield f"streams with {domain} that were closed: {closed}"


async def _why(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    domain = _domain(arguments)
    routes = context.server.foreign_routes
    steps = sorted((*routes.attempts.of(domain), *routes.refusals.of(domain)), key=_began)
    if routes.policies.of(domain).block:
        now = context.server.wall_clock()
        steps.append(
            AttemptStep(now, "policy", "s2s.domain", "blocked: nothing goes or comes", 0.0)
        )
    if not steps:
        raise Refused(f"since the server has started, nothing was tried to reach {domain}")
    for step in steps:
        yield {
            "at": iso(step.at),
            "step": step.kind,
            "what": step.what,
            "outcome": step.outcome,
            "ms": None if step.ms is None else round(step.ms, 1),
        }


def _began(step: AttemptStep) -> float:
    return step.at


def _domain(arguments: Arguments) -> str:
    text = arguments.text("domain")
    try:
        return prepare_domain(text)
    except ValueError as error:
        raise Refused(f'"{text}" is no domain ({error})') from error


COMMANDS = (
    Command(
        "s2s list",
        "list the streams with other servers, and what waits for one",
        _list,
        (Argument("--domain", "only those with this one"),),
        needs="server",
    ),
    Command(
        "s2s close",
        "close the streams with another server, and try it afresh when there is something to say",
        _close,
        (_DOMAIN,),
        needs="server",
    ),
    Command(
        "s2s why",
        "every step that was tried to reach another server, or by which it was turned away here",
        _why,
        (_DOMAIN,),
        needs="server",
    ),
)
