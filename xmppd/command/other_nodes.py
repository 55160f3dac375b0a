"""OtherNodes: the other nodes of the service, as commands see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from twisted.internet.defer import Deferred, gatherResults

from xmppd.command.exit_status import INCOMPLETE
from xmppd.command.refused import Refused
from xmppd.command.reply import Replies, Row


class Unanswered(Exception):
    """An error: a node does not answer a command, or cannot be reached."""


class Incomplete(Refused):
    """An error: what a command has to say lacks what some nodes have; all else was said.

    Args:
        nodes: The names of these.
    """

    def __init__(self, nodes: Sequence[str]) -> None:
        named = ", ".join(nodes)
        super().__init__(
            f"{named} did not answer: its part is missing here",
            status=INCOMPLETE,
            code="incomplete",
        )


class OtherNodes(Protocol):
    """The other nodes."""

    @property
    def here(self) -> str:
        """The name of this node."""

    @property
    def nodes(self) -> Sequence[str]:
        """The names of the others; none on a single node."""

    def replies(self, node: str, name: str, given: Mapping[str, object]) -> Replies:
        """Run the command of this name at another node, for what is there only.

        Raises:
            Refused: That node refuses it.
            Unanswered: It does not answer.
        """


class NoOtherNodes:
    """There are no others, or they are not to be asked."""

    here = ""
    nodes: Sequence[str] = ()

    def replies(self, node: str, name: str, given: Mapping[str, object]) -> Replies:
        """Raise: there is none."""
        raise Unanswered(f"unknown node {node}")


NO_OTHERS = NoOtherNodes()


@dataclass
class Gathered:
    """What other nodes have answered.

    Attributes:
        rows: Of all of them.
        missing: The names of those that have not answered.
    """

    rows: list[Row] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Say which nodes have not answered, when all else was said.

        Raises:
            Incomplete: Some have not.
        """
        if self.missing:
            raise Incomplete(self.missing)


async def gathered(others: OtherNodes, name: str, given: Mapping[str, object]) -> Gathered:
    """The rows that all other nodes have; those of a node that refuses the command are none."""
    found = Gathered()

    async def ask(node: str) -> None:
        try:
            found.rows += [
                reply async for reply in others.replies(node, name, given) if isinstance(reply, Row)
            ]
        except Unanswered:
            found.missing.append(node)
        except Refused:
            return

    await gatherResults([Deferred.fromCoroutine(ask(node)) for node in others.nodes])
    return found


__all__ = [
    "NO_OTHERS",
    "Gathered",
    "Incomplete",
    "OtherNodes",
    "Unanswered",
    "gathered",
]
