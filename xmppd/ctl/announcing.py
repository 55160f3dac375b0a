"""The command that tells everybody who is here something."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from xmppd.command.argument import Argument
from xmppd.command.command import Command, Description
from xmppd.command.command_context import CommandContext
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row
from xmppd.ctl.declared import Declared
from xmppd.ctl.people import DOMAIN
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Condition, Message, escape
from xmppd.stanza.xml import find_unwritable

MAX_TEXT_BYTES = 10_000
AT_ONCE = 500
"""Sessions that are told in one turn of the reactor."""


class AnnouncedRow(Row, frozen=True):
    """A domain whose users were sent a message.

    Attributes:
        sessions: The number of clients that got it: only those that are online now.
    """

    domain: str
    sessions: int


@dataclass(frozen=True)
class AnnouncingCommands:
    """The command for announcements: headlines of a domain to its own people."""

    routes: RoutingTable
    next_turn: Callable[[], Awaitable[None]]

    def commands(self) -> list[Command]:
        """The commands of this class."""
        return [declared.by(self) for declared in COMMANDS]

    async def announce(self, context: CommandContext) -> Replies:
        """Tell each session that is available at this node."""
        text, subject = context.arguments.text("text"), context.arguments.text("subject")
        _check(text, "text")
        _check(subject, "subject")
        title = f"<subject>{escape(subject)}</subject>" if subject else ""
        payload = f"{title}<body>{escape(text)}</body>".encode()
        for domain in context.arguments.domains("domain"):
            sender = JID.parse(domain)
            here = self._available(domain)
            for begin in range(0, len(here), AT_ONCE):
                if begin:
                    await self.next_turn()
                some = here[begin : begin + AT_ONCE]
                self.routes.tell(Message.make(some[0], sender, payload, type="headline"), some)
            yield AnnouncedRow(domain, len(here))

    def _available(self, domain: str) -> list[JID]:
        """The sessions of a domain that are available here."""
        end, routes = f"@{domain}", self.routes
        return [
            session.jid
            for bare in routes.users
            if bare.endswith(end)
            for session in routes.available_here(bare)
        ]


def _check(text: str, argument: str) -> None:
    if len(text.encode()) > MAX_TEXT_BYTES or find_unwritable(text):
        raise Refused(
            f"the {argument} must be text of at most {MAX_TEXT_BYTES} bytes",
            Condition.BAD_REQUEST,
            argument=argument,
        )


COMMANDS: tuple[Declared[AnnouncingCommands], ...] = (
    Declared(
        Description(
            "announce",
            "send a message to everyone who is online",
            (
                Argument("text", "the text of the message"),
                Argument("--subject", "the subject of the message"),
                DOMAIN,
            ),
            "changes",
            asks="all",
            area="content",
        ),
        AnnouncingCommands.announce,
        (AnnouncedRow,),
    ),
)
