"""CommandContext: what a command is told, by whom, and whether anybody still listens."""

from dataclasses import dataclass

from xmppd.command.argument import Arguments
from xmppd.stanza import JID


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever gives a command.

    Attributes:
        jid: Of the client that it is given with; None at the server's own machine.
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
    """What a command finds when it is run.

    Attributes:
        arguments: What it is told.
        actor: By whom.
        listening: Whether anybody still waits for what it answers.
    """

    arguments: Arguments
    actor: Actor
    listening: bool = True
