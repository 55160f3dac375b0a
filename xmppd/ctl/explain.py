"""Commands that explain what follows from the rules in the present state."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xmppd.cluster.directory import DirectoryAway
from xmppd.command.argument import Argument, Arguments
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import Address, Choice
from xmppd.command.other_nodes import Unanswered
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.sessions import SESSION
from xmppd.ctl.users import ACCOUNT, existing
from xmppd.explain.finding import Finding
from xmppd.explain.login import explain_login
from xmppd.explain.message import deciding_node, explain_message
from xmppd.explain.presence import explain_presence
from xmppd.explain.session import explain_session
from xmppd.explain.whereabouts import locate_message
from xmppd.server.xmpp_server import XMPPServer
from xmppd.stanza import JID, Condition

TYPES = ("normal", "chat", "groupchat", "headline", "error")


class FindingRow(Row, frozen=True):
    """A finding, with its rule."""

    code: str
    decides: bool
    rule: str
    says: str


@dataclass(frozen=True)
class ExplainCommands:
    """The commands that explain; nothing is sent, stored or changed."""

    server: XMPPServer

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def presence(self, context: CommandContext) -> Replies:
        """The outcome first."""
        told = context.arguments
        owner, watcher = _somebody(told, "owner"), _somebody(told, "watcher")
        with _the_directory():
            findings = await explain_presence(self.server, owner, watcher)
        for finding in findings:
            yield _row(finding)

    async def login(self, context: CommandContext) -> Replies:
        """The outcome first; each node knows its own failures and limits."""
        for finding in await explain_login(self.server, context.arguments.jid("account")):
            yield _row(finding)

    async def session(self, context: CommandContext) -> Replies:
        """Those that are there, then those that have ended, the latest first."""
        jid = context.arguments.jid("jid")
        findings = explain_session(self.server, jid)
        if not findings:
            if jid.local and jid.domain in self.server.domains:
                await existing(self.server.accounts.store.exists, [jid.to_bare()])
            raise Refused(
                f"{jid} has no session, and had none within the last hour",
                Condition.ITEM_NOT_FOUND,
            )
        for finding in findings:
            yield _row(finding)

    async def message(self, context: CommandContext) -> Replies:
        """The outcome first, as the node says that decides about it."""
        told = context.arguments
        sender, to = _somebody(told, "sender"), told.jid("to")
        with _the_directory():
            node = await deciding_node(self.server, to)
        if node is not None and node.name in context.others.nodes:
            try:
                async for reply in context.others.replies(
                    node.name, "explain message", context.given
                ):
                    yield reply
            except Unanswered as error:
                raise Refused(
                    f"node {node.name} decides about this message, but does not answer"
                ) from error
            return
        id, server = told.text("id"), self.server
        with _the_directory():
            if id:
                findings = await locate_message(server, sender, to, id)
            else:
                findings = await explain_message(server, sender, to, told.text("type", "chat"))
        for finding in findings:
            yield _row(finding)


@contextmanager
def _the_directory() -> Iterator[None]:
    """Refuse what cannot be said while Redis is away."""
    try:
        yield
    except DirectoryAway as error:
        raise Refused(
            "Redis does not answer, so it is unknown who is connected to which node"
        ) from error


def _somebody(told: Arguments, key: str) -> JID:
    """An address of an account or a session, not of a whole domain."""
    jid = told.jid(key)
    if jid.local is None:
        raise Refused(f'"{jid}" is a domain; name an account there')
    return jid


def _row(finding: Finding) -> FindingRow:
    rule = f" ({finding.rule})" if finding.rule else ""
    return FindingRow(finding.code, finding.decides, finding.rule, f"{finding.says}{rule}.")


COMMANDS: tuple[Declared[ExplainCommands], ...] = (
    Declared(
        Description(
            "explain presence",
            "show whether someone sees the presence of an account, and why",
            (
                Argument(
                    "owner",
                    "the account whose presence it is, such as romeo@example.org",
                    Address(),
                ),
                Argument("watcher", "the account that should see it", Address()),
            ),
            needs="store",
            answers="sentences",
            area="trace",
        ),
        ExplainCommands.presence,
        (FindingRow,),
    ),
    Declared(
        Description(
            "explain login",
            "show whether an account can log in, and which logins failed recently",
            (ACCOUNT,),
            answers="sentences",
            asks="all",
            area="accounts",
        ),
        ExplainCommands.login,
        (FindingRow,),
    ),
    Declared(
        Description(
            "explain session",
            "show the state of a session, or why it ended (for an hour afterwards)",
            (
                Argument(
                    "jid",
                    f"{SESSION}; without the resource, all sessions of the account",
                    Address(),
                ),
            ),
            answers="sentences",
            asks="all",
            area="sessions",
        ),
        ExplainCommands.session,
        (FindingRow,),
    ),
    Declared(
        Description(
            "explain message",
            "show what would happen to a message now, and why",
            (
                Argument("sender", "the sender", Address()),
                Argument("to", "the recipient, with or without a resource", Address()),
                Argument("--type", "the message's type; chat by default", Choice(TYPES)),
                Argument("--id", "instead, show what happened to an earlier message with this id"),
            ),
            needs="store",
            answers="sentences",
            area="trace",
        ),
        ExplainCommands.message,
        (FindingRow,),
    ),
)
