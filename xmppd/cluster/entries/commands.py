"""Entries of an administrator's commands, for what is at another node."""

from xmppd.cluster.entries.entry import BusEntry

MAX_REPLIES = 100
"""Replies of a command in one entry."""

Column = str | int | float | bool | list[str] | None


class CommandGiven(BusEntry, tag="c", frozen=True):
    """A command of an administrator, for what is at the other node; the answer is
    :class:`CommandReplies`.

    Attributes:
        number: Names it in what follows.
        name: Its words.
        given: The values of its arguments, as they were given.
    """

    number: int
    name: str
    given: dict[str, str | bool | list[str]]


class CommandMore(BusEntry, tag="cm", frozen=True):
    """Asks for further replies of a command; answered as the command."""

    number: int


class CommandUnread(BusEntry, tag="cu", frozen=True):
    """Nobody reads the replies of a command any more."""

    number: int


class CommandReplies(BusEntry, tag="cr", frozen=True):
    """Some replies of a command, in order.

    Attributes:
        replies: Rows by column, and sentences.
        done: Whether these were the last.
        refusal: Why it was refused; empty if it was not.
        condition: The stanza error of a refusal.
    """

    replies: list[dict[str, Column] | str]
    done: bool
    refusal: str = ""
    condition: str = ""


__all__ = [
    "MAX_REPLIES",
    "Column",
    "CommandGiven",
    "CommandMore",
    "CommandReplies",
    "CommandUnread",
]
