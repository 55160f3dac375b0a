"""CommandContext: the arguments of a command, its actor, and whether its answer is still wanted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from xmppd.command.argument import DRY_RUN, Arguments
from xmppd.command.other_nodes import NO_OTHERS, OtherNodes
from xmppd.config.scopes import EVERYTHING
from xmppd.stanza import JID

Way = Literal["xmppctl", "ad-hoc", "rest", "console", "node"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Whoever gives a command.

    Attributes:
        jid: Of the client by which it is given; None if it is none.
        scopes: All that the actor may do.
        way: By which it comes.
        name: Of an actor without a JID.
        address: The IP address it comes from; empty at the server's own machine.
        account: Bare JID of the person on whose behalf somebody without a JID acts; empty for
            whoever runs the server.
    """

    jid: JID | None
    scopes: frozenset[str]
    way: Way = "ad-hoc"
    name: str = ""
    address: str = ""
    account: str = ""

    @property
    def admin(self) -> bool:
        """Whether it may give every command."""
        return self.scopes >= EVERYTHING

    @property
    def who(self) -> str:
        """The actor in a word, as it stands in the audit."""
        return self.name if self.jid is None else self.jid.bare

    def owns(self, account: JID) -> bool:
        """Whether an account is the actor's own."""
        return self.jid is not None and self.jid.bare == account.bare


SHELL = Actor(None, EVERYTHING, "xmppctl", "xmppctl")
"""Root and the server's own user, at its own machine."""

NODE = Actor(None, EVERYTHING, "node", "node")
"""Another node, where somebody was found to be allowed it."""


@dataclass(slots=True)
class CommandContext:
    """The context in which a command is run.

    Attributes:
        arguments: Its values.
        actor: The one that gives it.
        given: The values as they were given, for other nodes.
        others: The other nodes; none if one of them has sent the command here.
        listening: Whether its answer is still wanted.
        request: The actor's name for this one request, which is done once; empty without one.
    """

    arguments: Arguments
    actor: Actor
    given: Mapping[str, object] = field(default_factory=dict)
    others: OtherNodes = NO_OTHERS
    listening: bool = True
    request: str = ""

    @property
    def dry_run(self) -> bool:
        """Whether it only has to say what would happen (CR-13)."""
        return self.arguments.flag(DRY_RUN.key)
