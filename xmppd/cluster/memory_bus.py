"""A bus in memory, for nodes that live in one process: those of tests."""

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from typing_extensions import override

from xmppd.cluster.conversation import Conversation
from xmppd.cluster.conversations import BusSettings, Conversations
from xmppd.cluster.membership import Membership
from xmppd.cluster.node import NodeId

Carry = Callable[..., None]
"""Calls a function with arguments later, behind all that it was given before."""


class MemoryBus(Conversations):
    """One node's end of it; frames are the same as on a wire.

    Args:
        membership: The node's.
        ends: All ends of the bus, by node; this one joins them.
        carry: Takes what is under way.
        clock: Tells when an answer is late.
        settings: What it goes by; acknowledgements do not wait for the clock.

    Attributes:
        cut: The nodes that its frames do not get to; see :meth:`mend`.
    """

    way = "memory"

    def __init__(
        self,
        membership: Membership,
        ends: dict[NodeId, "MemoryBus"],
        carry: Carry,
        clock: IReactorTime,
        settings: BusSettings,
    ) -> None:
        super().__init__(membership, clock, carry, settings)
        self.id = membership.id
        self.cut: set[NodeId] = set()
        self._ends = ends
        self._carry = carry
        ends[self.id] = self

    @override
    def begun(self, conversation: Conversation) -> None:
        conversation.carry(MemoryCarrier(self, conversation.node))

    def send(self, node: NodeId, frame: bytes) -> None:
        """Let a frame arrive at another node, later."""
        if node not in self.cut:
            self._carry(self._deliver, node, frame)

    def _deliver(self, node: NodeId, frame: bytes) -> None:
        there = self._ends.get(node)
        if there is not None and node not in self.cut:
            there.arrive(self.id, frame)

    def arrive(self, sender: NodeId, frame: bytes) -> None:
        """Take a frame of another node."""
        conversation = self.conversation(sender)
        if conversation is not None:
            conversation.receive(frame)

    def mend(self, node: NodeId) -> None:
        """Let frames get to a node again that they were cut from."""
        self.cut.discard(node)
        conversation = self.conversation(node)
        if conversation is not None:
            self.begun(conversation)


@dataclass(frozen=True)
class MemoryCarrier:
    """Carries the frames of one node to one other."""

    bus: MemoryBus
    node: NodeId

    def send(self, frame: bytes) -> None:
        """Let a frame arrive, later."""
        self.bus.send(self.node, frame)


__all__ = ["MemoryBus", "MemoryCarrier"]
