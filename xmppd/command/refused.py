"""Refused: the one error of a command."""

from xmppd.stanza import Condition


class Refused(Exception):
    """A command cannot be done; the text is one sentence for whoever gave it.

    Args:
        text: Without a full stop.
        condition: What kind of refusal it is, for a way that has a word for it.
    """

    def __init__(self, text: str, condition: Condition = Condition.NOT_ACCEPTABLE) -> None:
        super().__init__(text)
        self.condition = condition


def failed() -> Refused:
    """What whoever gave a command hears of a bug of ours."""
    return Refused("this failed; the server's log has the reason", Condition.INTERNAL_SERVER_ERROR)
