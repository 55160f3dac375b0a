"""CommandContext: the arguments of a command, its actor, and whether its answer is still wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xmppd.command.argument import Arguments
from xmppd.command.other_nodes import NO_OTHERS, OtherNodes
from xmppd.stanza import JID


@dataclass(frozen=True, slots=True)
class Actor:
    """The account that gives a command.

    Attributes:
        jid: Of the client by which it is given; None at the server's own machine.
        admin: Whether it may give every command.
    """

    jid: JID | None
    admin: bool

    def owns(self, account: JID) -> bool:
        """Whether an account is the actor's own."""
        return self.jid is not None and self.jid.bare == account.bare


SHELL = Actor(None, admin=True)
"""Root and the server's own user, at its own machine."""


@dataclass(slots=True)
class CommandContext:
    """The context in which a command is run.

    Attributes:
        arguments: Its values.
        actor: The one that gives it.
        given: The values as they were given, for other nodes.
        others: The other nodes; none if one of them has sent the command here.
        listening: Whether its answer is still wanted.
    """

    arguments: Arguments
    actor: Actor
    given: Mapping[str, object] = field(default_factory=dict)
    others: OtherNodes = NO_OTHERS
    listening: bool = True
