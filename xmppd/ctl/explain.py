"""Commands that say why: what the rules make of the present state."""

from collections.abc import AsyncGenerator

from xmppd.ctl.command import Argument, Arguments, Command, CommandContext, address
from xmppd.ctl.protocol import Refused, Reply
from xmppd.explain.finding import Finding
from xmppd.explain.message import explain_message
from xmppd.explain.presence import explain_presence
from xmppd.stanza import JID


async def _presence(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    owner, watcher = _somebody(arguments, "owner"), _somebody(arguments, "watcher")
    for finding in await explain_presence(context.server, owner, watcher):
        yield _row(finding)


async def _message(context: CommandContext, arguments: Arguments) -> AsyncGenerator[Reply, None]:
    sender, to = _somebody(arguments, "sender"), address(arguments.text("to"))
    kind = arguments.text("type", "chat")
    for finding in await explain_message(context.server, sender, to, kind):
        yield _row(finding)


def _somebody(arguments: Arguments, key: str) -> JID:
    """An address of somebody, not of a whole domain."""
    jid = address(arguments.text(key))
    if jid.local is None:
        raise Refused(f'"{jid}" is a domain; name somebody there')
    return jid


def _row(finding: Finding) -> Reply:
    rule = f" ({finding.rule})" if finding.rule else ""
    return {
        "code": finding.code,
        "decides": finding.decides,
        "rule": finding.rule,
        "says": f"{finding.says}{rule}.",
    }


COMMANDS = (
    Command(
        "explain presence",
        "what somebody sees of somebody's presence, and why",
        _presence,
        (
            Argument("owner", "whose presence, such as romeo@example.org"),
            Argument("watcher", "who sees it, or does not"),
        ),
        answers="sentences",
    ),
    Command(
        "explain message",
        "what would become of a message just now, and why",
        _message,
        (
            Argument("sender", "who writes"),
            Argument("to", "whom to; with a resource or without"),
            Argument(
                "--type",
                "chat, if nothing is said",
                choices=("normal", "chat", "groupchat", "headline", "error"),
            ),
        ),
        answers="sentences",
    ),
)
