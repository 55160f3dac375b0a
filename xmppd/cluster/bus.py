"""Bus: what nodes say to each other."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.node import NodeId
from xmppd.stanza import Later

Outcome = Awaitable[BusEntry | None] | BusEntry | None
"""The answer to an entry that is asked, or something to wait for that gives it; None if all there
is to say is that it is done."""

Take = Callable[[NodeId, BusEntry], Outcome]
"""Takes an entry of another node."""


class Unreachable(Exception):
    """An error: a node does not answer a question, or cannot."""


class Traffic(NamedTuple):
    """What is under way between this node and another one, for people.

    Attributes:
        node: The other.
        way: What carries it: ``link``, ``redis``, ``detour``, ``memory``, or ``none``.
        silent_s: For so long nothing was heard by the link; 0 without links.
        reconnects: So often the link was lost.
        entries: That the other node has not handled.
        bytes: Of these.
        fullness: Of the window; 1 when it is full.
        lag_s: For so long the oldest frame is not acknowledged.
        dropped: Entries that were not sent, since twice the window was full.
        unhandled: Entries of the other node that are not handled here.
        trouble: Why there is no link; empty if there is one.
    """

    node: NodeId
    way: str
    silent_s: float
    reconnects: int
    entries: int
    bytes: int
    fullness: float
    lag_s: float
    dropped: int
    unhandled: int
    trouble: str


class Bus(Protocol):
    """Entries to other nodes: in order for each, each taken once, kept until they are handled.

    Attributes:
        take: Takes what other nodes send; what it returns is waited for before the entry counts as
            handled.
    """

    take: Take

    def tell(self, node: NodeId, entry: BusEntry) -> None:
        """Send an entry; it leaves with all others that this turn of the reactor has for the node.

        To a node that is not in any more nothing is sent.
        """

    async def ask(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        """Send an entry and wait for its answer.

        Raises:
            Unreachable: None came in time, or the node is lost.
        """

    def is_full(self, node: NodeId) -> bool:
        """Whether so much is under way to this node that a stage waits for :meth:`room` first."""

    def room(self, node: NodeId) -> Later:
        """Something to wait for if too much is under way to this node; None if there is room.

        It raises a StanzaError, REMOTE_SERVER_TIMEOUT, if there is none for too long.
        """

    async def settled(self, node: NodeId) -> None:
        """Wait until a node has handled all that it was told so far, or is gone."""

    def take_back(self, node: NodeId) -> list[BusEntry]:
        """The entries that a node which is gone has not handled, in order; they are forgotten here.

        Questions and answers are not among them: who asked is told that it is unreachable.
        """

    def traffic(self) -> list[Traffic]:
        """What is under way between this node and each of the others."""


class LocalBus:
    """The bus of a single node: there is nobody to tell."""

    take: Take

    def tell(self, node: NodeId, entry: BusEntry) -> None:
        """Do nothing."""

    async def ask(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        """Raise: there is no other node."""
        raise Unreachable(f"unknown node {node}")

    def is_full(self, node: NodeId) -> bool:
        """False: nothing is under way."""
        return False

    def room(self, node: NodeId) -> Later:
        """None: nothing is under way."""
        return None

    async def settled(self, node: NodeId) -> None:
        """Do nothing: nothing is under way."""

    def take_back(self, node: NodeId) -> list[BusEntry]:
        """Nothing."""
        return []

    def traffic(self) -> list[Traffic]:
        """None."""
        return []


async def ask_all(
    bus: Bus, nodes: Iterable[NodeId], entry: BusEntry, within_s: float
) -> dict[NodeId, BusEntry | None]:
    """Ask several nodes at once.

    Returns:
        Their answers; a node that did not answer in time, or is lost, is left out.
    """
    asking = {node: Deferred.fromCoroutine(bus.ask(node, entry, within_s)) for node in nodes}
    answers = {}
    for node, answer in asking.items():
        with suppress(Unreachable):
            answers[node] = await answer
    return answers


__all__ = ["Bus", "LocalBus", "Outcome", "Take", "Traffic", "Unreachable", "ask_all"]
