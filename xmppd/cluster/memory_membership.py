"""A membership in memory, for nodes that live in one process: those of tests."""

from collections.abc import Callable, Mapping
from itertools import count

from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from typing_extensions import override

from xmppd.cluster.membership import (
    Membership,
    nothing_to_close,
    nothing_to_enter,
    nothing_to_hand_over,
)
from xmppd.cluster.node import Node, NodeId


class MemoryMembership(Membership):
    """One node's view of it; it may act as long as it is in.

    Args:
        id: The node; it is in from now on.
        all: All nodes that are in, by name; shared.
    """

    complete = True
    lease_age_s = 0.0
    fenced = False

    def __init__(self, id: NodeId, all: dict[str, Node]) -> None:
        self.id = id
        self.on_silence = nothing_to_close
        self.on_loss = nothing_to_enter
        self.on_isolation: Callable[[bool], None] = nothing_to_hand_over
        self._all = all
        self._has_left = False
        taken = {node.number for name, node in all.items() if name != id.name}
        number = next(number for number in count() if number not in taken)
        all[id.name] = Node(id=id, number=number)

    @property
    @override
    def node(self) -> Node:  # type: ignore[override]  # it may be computed
        return self._all[self.id.name] if self.is_in(self.id) else Node(id=self.id)

    @override
    def describe(self, **fields: object) -> None:
        if self.is_in(self.id):
            self._all[self.id.name] = replace(self.node, **fields)

    @property
    @override
    def nodes(self) -> Mapping[str, Node]:  # type: ignore[override]  # it may be computed
        return {name: node for name, node in self._all.items() if node.id != self.id}

    @property
    @override
    def speaks(self) -> bool:
        return self.is_in(self.id) and not self._has_left

    @override
    def is_in(self, node: NodeId) -> bool:
        known = self._all.get(node.name)
        return known is not None and known.id == node

    @override
    def voice(self) -> Deferred[None]:
        return succeed(None) if self.speaks else Deferred()

    @override
    async def refresh(self) -> bool:
        """True: it knows."""
        return True

    @override
    async def leave(self) -> None:
        self._has_left = True  # who stops a node tells the others

    @override
    def listen(self, fire: Callable[[object], None]) -> None:
        """Do nothing: who kills a node tells the others."""


__all__ = ["MemoryMembership"]
