"""CommandContext: the arguments of a command, its actor, and whether its answer is still wanted."""

from dataclasses import dataclass

from xmppd.command.argument import Arguments
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
        listening: Whether its answer is still wanted.
    """

    arguments: Arguments
    actor: Actor
    listening: bool = True
