"""Refused: the one error of a command."""

from xmppd.command.exit_status import NOT_THERE, NOT_UNDERSTOOD, REFUSED
from xmppd.stanza import Condition

STATUS = {
    Condition.BAD_REQUEST: NOT_UNDERSTOOD,
    Condition.ITEM_NOT_FOUND: NOT_THERE,
}
"""The exit status of xmppctl for a stanza error; :data:`REFUSED` for any other."""


class Refused(Exception):
    """An error: a command cannot be done; the text is one sentence for its actor.

    Args:
        text: Without a full stop.
        condition: The stanza error, for a way that has those.
        status: With which xmppctl ends, if the stanza error does not tell.
        code: A word for programs, if the stanza error's is not it.
        argument: The argument that is wrong, by its key; empty if it is none.
        scope: What its actor lacks; empty if it is nothing.
    """

    def __init__(
        self,
        text: str,
        condition: Condition = Condition.NOT_ACCEPTABLE,
        status: int | None = None,
        *,
        code: str = "",
        argument: str = "",
        scope: str = "",
    ) -> None:
        super().__init__(text)
        self.condition = condition
        self.status = STATUS.get(condition, REFUSED) if status is None else status
        self.code = code or condition.tag
        self.argument = argument
        self.scope = scope


def failed() -> Refused:
    """The refusal of a command that has a bug."""
    return Refused(
        "the command failed; the server's log has the reason", Condition.INTERNAL_SERVER_ERROR
    )
