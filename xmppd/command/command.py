"""Command: an operation on request, whichever way the request comes."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from xmppd.command.argument import Argument
from xmppd.command.command_context import CommandContext
from xmppd.command.kinds import AccountName
from xmppd.command.reply import Replies, Row

STATES = ("well", "warnings", "trouble")
"""What may stand in the column by which xmppctl ends; its status is the place of the worst."""

OWNED = "account"
"""The argument by which a command for owners is told whose account it is about."""


class Description(Struct, frozen=True):
    """The description of a command, from which the shell, a form or a page is made.

    Attributes:
        name: Its words, such as ``user add``.
        help: One line for people.
        arguments: In their order.
        effect: ``reads``; ``changes``; or ``ends`` something that does not come back by itself.
        who: ``admins``, and others who have its scope; ``owner``, who may give it for the account
            that its argument ``account`` names, as the former may for any; or ``everybody``.
        needs: ``file``: the configuration only; ``store``: the store, with or without a server that
            runs; ``server``: one that runs.
        answers: ``table``: rows of a table; ``record``: rows that are each shown as a list of
            their columns; ``sentences``: each row has one in ``says``, for people; ``stream``: the
            same, at any time; ``document``: lines that go out as they are, as notes or in ``says``.
        empty: What an answer without rows says, without a full stop.
        area: One of :data:`~xmppd.config.scopes.AREAS`: what it is about. With the effect, that is
            its scope.
        asks: ``here``: what this node knows is all there is to know; ``all``: each node of the
            service is asked, and its rows say which one it was.
        ends_by: The column by which xmppctl ends, with one of :data:`STATES`; empty for none.
        audited: Whether it is written down if it changes something: what only has things go wrong
            in a test is not, and does not wait for a store that is slow because of it.
    """

    name: str
    help: str
    arguments: tuple[Argument, ...] = ()
    effect: Literal["reads", "changes", "ends"] = "reads"
    who: Literal["admins", "owner", "everybody"] = "admins"
    needs: Literal["file", "store", "server"] = "server"
    answers: Literal["table", "record", "sentences", "document", "stream"] = "table"
    asks: Literal["here", "all"] = "here"
    area: str = "server"
    empty: str = ""
    ends_by: str = ""
    audited: bool = True

    @property
    def scope(self) -> str:
        """What its actor must have, unless it is also for others (CR-5)."""
        return f"{self.area}:{'read' if self.effect == 'reads' else 'write'}"

    @property
    def owned(self) -> bool:
        """Whether it has to be told one account, which may be somebody's own."""
        named = [each for each in self.arguments if each.name == OWNED]
        return any(each.most == 1 and isinstance(each.kind, AccountName) for each in named)


def _never(told: Mapping[str, object]) -> str:
    return ""


async def _nothing(context: CommandContext) -> None:
    """Refuse nothing."""


@dataclass(frozen=True)
class Command:
    """An operation on request.

    Attributes:
        about: Its description.
        run: Does it; yields rows, and sentences without a full stop. Raises :class:`Refused`.
        rows: The class of its rows; empty if it answers in sentences.
        why_not: Why it would be refused, whoever gives it, as far as that follows from what it is
            told; empty if it would not. A page says so in place of its form (CN-10).
        before_secret: Looks, before somebody types a secret, whether the command would be refused
            whatever it is. Raises :class:`Refused`.
    """

    about: Description
    run: Callable[[CommandContext], Replies]
    rows: tuple[type[Row], ...] = ()
    why_not: Callable[[Mapping[str, object]], str] = _never
    before_secret: Callable[[CommandContext], Awaitable[None]] = _nothing

    @property
    def name(self) -> str:
        """Its words."""
        return self.about.name
