"""NodeLoss: what becomes of all that a lost node had to do with."""

from collections.abc import Callable, Iterable, Iterator

from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.moves import PassedOn
from xmppd.cluster.entries.stanzas import Delivered, Routed
from xmppd.cluster.membership import NodeLeft, NodeLost
from xmppd.cluster.node import NodeId
from xmppd.host.clocks import UNKNOWN
from xmppd.message.unread import owed
from xmppd.router.packet_router import PacketRouter
from xmppd.routing.routing_table import RoutingTable
from xmppd.stanza import JID, Stanza
from xmppd.stanza.copy_count import Copies


class NodeLoss:
    """Forgets a node that is lost or has left, and routes anew what it had not handled (CL-14).

    Args:
        routing_table: Forgets it first.
        packet_router: Routes the stanzas that were under way to it.

    Attributes:
        forget: Called in this order with the node, before anything is routed anew.
    """

    def __init__(self, routing_table: RoutingTable, packet_router: PacketRouter) -> None:
        self.routing_table = routing_table
        self.packet_router = packet_router
        self.forget: tuple[Callable[[NodeId], object], ...] = ()

    def lost(self, event: NodeLost) -> None:
        """Note that a node is fenced."""
        self._gone(event.node.id)

    def left(self, event: NodeLeft) -> None:
        """Note that a node has left; what was said to it behind its last word is under way too."""
        self._gone(event.node.id)

    def _gone(self, node: NodeId) -> None:
        unhandled = self.routing_table.bus.take_back(node)
        self.routing_table.forget_node(node)
        for forget in self.forget:
            forget(node)
        self.packet_router.route_again(self._stanzas(unhandled))

    def _stanzas(self, unhandled: Iterable[BusEntry]) -> Iterator[Stanza]:
        """The stanzas in these entries, in order; what else was said is of no use any more."""
        for each in unhandled:
            entry = each.delivered if isinstance(each, PassedOn) else each
            if isinstance(entry, Routed):
                yield entry.stanza()
            elif isinstance(entry, Delivered):
                stanza = entry.stanza()
                if entry.copies:
                    known = self.routing_table.copy_counts.get(entry.copies)
                    stanza.payload.copies = known or Copies(entry.about, 1)
                unread = [(stanza, entry.wire, UNKNOWN)]
                session, clocks = JID.prepared(entry.session), self.packet_router.clocks
                for again in owed(unread, session, clocks, {}):
                    again.payload.passed_on = 1  # it comes by the old way (CL-16)
                    yield again
