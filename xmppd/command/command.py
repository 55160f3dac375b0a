"""Command: something that can be done on request, whichever way the request comes."""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from msgspec import Struct

from xmppd.command.argument import Argument
from xmppd.command.command_context import CommandContext


class Row(Struct, frozen=True):
    """One line of what a command answers; its fields are the columns, with units in their names."""


Reply: TypeAlias = Row | str
"""A row of a table, or a sentence that says what was done."""

Replies: TypeAlias = AsyncGenerator[Reply, None]


class Description(Struct, frozen=True):
    """What is said of a command: all that the shell, a form or a page is made from.

    Attributes:
        name: Its words, such as ``user add``.
        help: One line for people.
        arguments: What it has to be told.
        effect: ``reads``; ``changes``; or ``ends`` something that does not come back by itself.
        who: ``admins``; ``owner``, who may give it for the account that its argument ``account``
            names, as administrators may for any; or ``everybody``.
        needs: ``file``: the configuration only; ``store``: the store, with or without a server that
            runs; ``server``: one that runs.
        answers: ``table``: rows of a table; ``sentences``: each row has one in ``says``, for
            people; ``stream``: the same, but nobody knows when the next one comes.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...] = ()
    effect: Literal["reads", "changes", "ends"] = "reads"
    who: Literal["admins", "owner", "everybody"] = "admins"
    needs: Literal["file", "store", "server"] = "server"
    answers: Literal["table", "sentences", "stream"] = "table"


@dataclass(frozen=True)
class Command:
    """Something that can be done on request.

    Attributes:
        about: What is said of it.
        run: Does it; yields rows, and sentences without a full stop. Raises :class:`Refused`.
        rows: What its rows are; empty if it answers in sentences.
    """

    about: Description
    run: Callable[[CommandContext], Replies]
    rows: tuple[type[Row], ...] = ()

    @property
    def name(self) -> str:
        """Its words."""
        return self.about.name
