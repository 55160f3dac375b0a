"""Membership: which nodes there are, and whether this one may speak."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed

from xmppd.cluster.node import ALONE, Node, NodeId


@dataclass(frozen=True, slots=True)
class NodeJoined:
    """Another node is in."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeLost:
    """A node is fenced: it is dead, or has to behave as if it were; nobody hears it any more."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeLeft:
    """A node has left in an orderly way: nothing of it is anywhere."""

    node: Node


@dataclass(frozen=True, slots=True)
class NodeFenced:
    """This node was fenced: its sessions are gone, and it joins again as another generation."""

    id: NodeId


async def nothing_to_enter() -> None:
    """Do nothing: no session is here."""


def nothing_to_close() -> None:
    """Do nothing: no wire is here."""


def nothing_to_hand_over(is_isolated: bool) -> None:
    """Do nothing: nobody is here."""


class Membership(Protocol):
    """The nodes of the service, as one life of this node knows them.

    Attributes:
        id: This node, the same for all of this life.
        node: What this node says of itself.
        nodes: The others that are in, by name.
        speaks: Whether this node may act: its lease is valid. Looked at in every turn that takes
            something from a wire or from another node.
        fenced: Whether this life is over: other nodes have declared it dead.
        complete: Whether all nodes have entered their sessions in the directory: while one has not,
            since what was there is lost, nobody counts as absent.
        on_silence: Called when this node has not been able to act for so long that its clients had
            better look for another one, and when it never will again.
        on_loss: Enters all sessions in the directory again, since what was there may be lost.
        on_isolation: Called with True when for some time Redis has answered other nodes and not
            this one, and with False when it answers again.
    """

    id: NodeId
    node: Node
    nodes: Mapping[str, Node]
    fenced: bool
    on_silence: Callable[[], None]
    on_loss: Callable[[], Awaitable[None]]
    on_isolation: Callable[[bool], None]

    @property
    def speaks(self) -> bool:
        """Whether this node may act now."""

    @property
    def complete(self) -> bool:
        """Whether what the directory does not have is nowhere."""

    @property
    def lease_age_s(self) -> float:
        """Seconds since the lease was renewed last; 0 where none is needed."""

    def is_in(self, node: NodeId) -> bool:
        """Whether this other node, in this generation, is in."""

    def describe(self, **fields: object) -> None:
        """Say something else of this node, such as that it is draining; the others know it soon."""

    def voice(self) -> Deferred[None]:
        """An awaitable until this node may act again; it never comes if the node is fenced."""

    async def refresh(self) -> bool:
        """Look at once who is in, and whether we still are.

        Returns:
            Whether that is known now; False if Redis does not answer.
        """

    def is_heir_of(self, node: str) -> bool:
        """Whether what a former node has left in the store is for this one to take up: it was an
        earlier life of this one, or there was no other node then.

        Args:
            node: Its id as text.
        """
        return node.rpartition(".")[0] in ("", self.id.name)

    async def leave(self) -> None:
        """Leave the others in an orderly way; this node never acts again."""

    def listen(self, fire: Callable[[object], None]) -> None:
        """Call this with each event from now on, and with those that there were before."""


class LocalMembership:
    """The membership of a single node."""

    speaks = complete = True
    lease_age_s = 0.0
    fenced = False

    def __init__(self) -> None:
        self.id = ALONE
        self.node = Node(id=ALONE)
        self.nodes: Mapping[str, Node] = {}
        self.on_silence: Callable[[], None] = nothing_to_close
        self.on_loss: Callable[[], Awaitable[None]] = nothing_to_enter
        self.on_isolation: Callable[[bool], None] = nothing_to_hand_over

    def is_in(self, node: NodeId) -> bool:
        """False: there is no other."""
        return False

    def describe(self, **fields: object) -> None:
        """Note it; there is nobody to be told."""
        self.node = replace(self.node, **fields)

    def voice(self) -> Deferred[None]:
        """It may act at once."""
        return succeed(None)

    async def refresh(self) -> bool:
        """True: nobody else is in."""
        return True

    def is_heir_of(self, node: str) -> bool:
        """True: whichever nodes there were, all is for this one."""
        return True

    async def leave(self) -> None:
        """Do nothing: there is nobody to leave."""

    def listen(self, fire: Callable[[object], None]) -> None:
        """Do nothing: nothing happens."""


__all__ = [
    "LocalMembership",
    "Membership",
    "NodeFenced",
    "NodeJoined",
    "NodeLeft",
    "NodeLost",
    "nothing_to_close",
    "nothing_to_enter",
    "nothing_to_hand_over",
]
