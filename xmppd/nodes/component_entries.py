"""ComponentEntries: at which nodes components are connected."""

from xmppd.cluster.cluster import Cluster
from xmppd.cluster.entries.routes import ComponentAt
from xmppd.cluster.membership import NodeJoined, NodeLeft, NodeLost
from xmppd.cluster.node import NodeId
from xmppd.components.components import ComponentConnected, ComponentDisconnected, Components


class ComponentEntries:
    """Tells all other nodes which connections of components are here, and notes theirs (CL-91).

    Args:
        cluster: The other nodes.
        components: Those that may connect.
    """

    def __init__(self, cluster: Cluster, components: Components) -> None:
        self.membership = cluster.membership
        self.bus = cluster.bus
        self.components = components

    def changed(self, event: ComponentConnected | ComponentDisconnected) -> None:
        """Tell all other nodes of a component that has connected, or hung up."""
        domain = event.session.jid.domain
        for node in self.membership.nodes.values():
            self._tell(node.id, domain)

    def joined(self, event: NodeJoined) -> None:
        """Tell a node that has just come of all components here."""
        for domain, route in self.components.routes.items():
            if route.sessions:
                self._tell(event.node.id, domain)

    def gone(self, event: NodeLost | NodeLeft) -> None:
        """Forget what was connected at a node that is gone."""
        for domain in self.components.routes:
            self.components.note(event.node.id, domain, ())

    def noted(self, sender: NodeId, entry: ComponentAt) -> None:
        """Note which connections another node has."""
        self.components.note(sender, entry.domain, entry.numbers)

    def _tell(self, node: NodeId, domain: str) -> None:
        self.bus.tell(node, ComponentAt(domain, self.components.numbers(domain)))


__all__ = ["ComponentEntries"]
