"""Commands that people run from their XMPP client (:xep:`0050`)."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from xmppd.events import Undo
from xmppd.stanza import IQ, JID, Element


@dataclass(frozen=True)
class AdHocCommand:
    """An ad-hoc command (:xep:`0050`).

    Attributes:
        node: What it is called.
        name: For people.
        form: The form to fill in, asked of whoever wants to run it; None if it needs none.
        run: Does it: gets the request and the values of the form, returns a note for people or a
            result form. Raises StanzaError.
        admins_only: Whether only the administrators of the configuration may run it.
    """

    node: str
    name: str
    run: Callable[[IQ, dict[str, list[str]]], Awaitable[Element | str]]
    form: Callable[[IQ], Element] | None = None
    admins_only: bool = True


class AdHocCommands:
    """The place of commands.

    A command that fails is blamed on its plugin by the handler that runs it.

    Args:
        admins: Who may run what is for administrators only.

    Attributes:
        commands: By node.
        owners: Whose they are, by node.
    """

    def __init__(self, admins: Collection[JID]) -> None:
        self.admins = admins
        self.commands: dict[str, AdHocCommand] = {}
        self.owners: dict[str, str] = {}

    def put(self, part: AdHocCommand, owner: str) -> Undo:
        """Let people run it.

        Raises:
            ValueError: There is one of this name.
        """
        if part.node in self.commands:
            raise ValueError(f"{part.node} is taken")
        self.commands[part.node] = part
        self.owners[part.node] = owner

        def take_out() -> None:
            del self.commands[part.node], self.owners[part.node]

        return take_out
