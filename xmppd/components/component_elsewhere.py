"""ComponentElsewhere: a connection of a component at another node."""

from collections.abc import Awaitable
from typing import Protocol

from xmppd.cluster.bus import Bus
from xmppd.cluster.entries.stanzas import Routed, Way
from xmppd.cluster.node import NodeId
from xmppd.routing.routing_table import MAX_PASSED_ON
from xmppd.stanza import Later, Stanza


class ComponentSeat(Protocol):
    """A connection of a component, here or at another node.

    Attributes:
        closed: Whether it is gone or closing.
    """

    closed: bool

    @property
    def lot(self) -> str:
        """Tells it from all other ones of the service."""

    def free(self) -> Awaitable[None] | None:
        """Something to wait for while stanzas wait for it."""

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Deliver a stanza to the component; returns whether it could be."""


class ComponentElsewhere:
    """A connection of a component at another node (CL-91).

    Attributes:
        node: Its node.
        number: Tells it from the other ones there.
        closed: Whether it is gone.
    """

    __slots__ = ("bus", "closed", "node", "number")

    def __init__(self, node: NodeId, number: int, bus: Bus) -> None:
        self.node = node
        self.number = number
        self.bus = bus
        self.closed = False

    @property
    def lot(self) -> str:
        """Its node and number."""
        return lot(self.node, self.number)

    def free(self) -> Later:
        """Something to wait for while too much is under way to its node."""
        return self.bus.room(self.node)

    def deliver(self, stanza: Stanza, wire: bytes) -> bool:
        """Send a stanza to its node."""
        if self.closed or stanza.to is None or stanza.payload.passed_on > MAX_PASSED_ON:
            return False
        self.bus.tell(self.node, Routed.of(stanza, stanza.to, Way.COMPONENT))
        return True


def lot(node: NodeId, number: int) -> str:
    """What tells a connection from all other ones of the service."""
    return f"{node} {number}"


__all__ = ["ComponentElsewhere", "ComponentSeat", "lot"]
