"""Refused: the one error of a command."""

from xmppd.stanza import Condition


class Refused(Exception):
    """An error: a command cannot be done; the text is one sentence for its actor.

    Args:
        text: Without a full stop.
        condition: The stanza error, for a way that has those.
        status: With which xmppctl ends.
        argument: The argument that is wrong, by its key; empty if it is none.
        scope: What its actor lacks; empty if it is nothing.
    """

    def __init__(
        self,
        text: str,
        condition: Condition = Condition.NOT_ACCEPTABLE,
        status: int = 1,
        *,
        argument: str = "",
        scope: str = "",
    ) -> None:
        super().__init__(text)
        self.condition = condition
        self.status = status
        self.argument = argument
        self.scope = scope


def failed() -> Refused:
    """The refusal of a command that has a bug."""
    return Refused("this failed; the server's log has the reason", Condition.INTERNAL_SERVER_ERROR)
