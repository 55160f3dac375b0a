"""LeaseBoard: where nodes write that they are alive, and read who else is."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.node import Node, NodeId


class NameTaken(Exception):
    """An error: a node of this name is alive, and it is not this one's former life."""


class GenerationFenced(Exception):
    """An error: this generation of the node is dead to all others."""


class NotOnBoard(Exception):
    """An error: the board knows nothing of this node, since it has lost what was written there."""


class BoardAway(DirectoryAway):
    """An error: the board does not answer."""


class Renewal(NamedTuple):
    """A lease that was renewed.

    Attributes:
        era: Another one if what was written on the board may be lost: it was empty, or another
            Redis has taken its place.
        version: Another one if a node has joined, left, was fenced or has changed its record.
        late: The names of nodes whose lease has run out.
    """

    era: str
    version: int
    late: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class BoardState:
    """What is on the board.

    Attributes:
        nodes: That are in.
        fenced: Of those that were asked for, which are fenced.
        left: Of those that were asked for, which have left in an orderly way.
    """

    nodes: tuple[Node, ...]
    fenced: frozenset[NodeId] = field(default_factory=frozenset)
    left: frozenset[NodeId] = field(default_factory=frozenset)


class LeaseBoard(Protocol):
    """The board on which all nodes of a service are written.

    Every method raises :class:`BoardAway` if it cannot be asked.
    """

    async def join(
        self,
        node: Node,
        lease_s: float,
        *,
        again: bool = False,
        fenced: Collection[NodeId] = (),
    ) -> tuple[NodeId, Renewal]:
        """Write a node on the board, and give it a lease.

        A former life of it, known by its instance, is fenced; and so is one whose lease has run
        out.

        Args:
            node: What is known of it. Its generation is the last one that it is known to have had;
                it gets a higher one.
            lease_s: For how long it counts as alive.
            again: Whether it is in, and the board has lost that: then it keeps its generation.
            fenced: Other generations that are known to be dead, in case that is lost as well.

        Raises:
            NameTaken: The name is another's.
            GenerationFenced: It is not to be in again.
        """

    async def renew(self, id: NodeId, lease_s: float) -> Renewal:
        """Renew the lease of a node: this one's, or that of one which cannot do it itself.

        Raises:
            GenerationFenced: It is dead.
            NotOnBoard: The board has lost it.
        """

    async def fence(self, target: NodeId, by: NodeId, era: str) -> bool:
        """Declare another node dead, if its lease has run out.

        Args:
            target: That node.
            by: This one, which must hold its own lease.
            era: In which it was seen to be late.

        Returns:
            Whether it was this call that did it; False if it was fenced already, is alive, or this
            is another era.
        """

    def is_of(self, era: str) -> bool:
        """Whether, as far as is known without asking, it is still the board of this era: what is
        asked of another one, that has come meanwhile, is not what all nodes have written.
        """

    async def leave(self, id: NodeId) -> None:
        """Take this node off the board, in an orderly way."""

    async def describe(self, node: Node) -> None:
        """Write another record of this node, which is in.

        Raises:
            GenerationFenced: It is dead.
        """

    async def read(self, known: Collection[NodeId]) -> BoardState:
        """Read the board.

        Args:
            known: Nodes of which the reader wants to know what became of them, if they are not in
                any more.
        """


__all__ = [
    "BoardAway",
    "BoardState",
    "GenerationFenced",
    "LeaseBoard",
    "NameTaken",
    "NotOnBoard",
    "Renewal",
]
