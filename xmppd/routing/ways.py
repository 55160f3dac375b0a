"""Ways: by which nodes stanzas for an account have gone, so that none overtakes another when that
changes.
"""

from collections import OrderedDict
from collections.abc import Iterable

from xmppd.cluster.node import NodeId

MAX_WAYS = 10_000
"""Accounts of which the way is remembered."""

MAX_NODES = 8
"""The nodes that are remembered for one account."""


class WayTaken:
    """The way that stanzas for an account have taken last.

    Attributes:
        by: The node that decided about them; None if this one did.
        nodes: Those that still may have some under way, the last one first.
        turning: Whether what is under way by these is waited for.
    """

    __slots__ = ("by", "nodes", "turning")

    def __init__(self, by: NodeId | None, nodes: tuple[NodeId, ...]) -> None:
        self.by = by
        self.nodes = nodes
        self.turning = False


class Ways:
    """The ways of accounts with sessions on other nodes (CL-16).

    Attributes:
        taken: By bare JID; empty on a single node.
    """

    def __init__(self) -> None:
        self.taken: OrderedDict[str, WayTaken] = OrderedDict()

    def goes_by(self, bare: str, node: NodeId) -> None:
        """Note that a stanza goes by this node."""
        way = self.taken.get(bare)
        if way is None:
            self._put(bare, WayTaken(node, (node,)))
        elif way.by != node:
            way.by = node
            way.nodes = tuple(dict.fromkeys((node, *way.nodes)))[:MAX_NODES]

    def went_from_here(self, bare: str, nodes: Iterable[NodeId]) -> None:
        """Note that the last session of an account has ended here: until now this node has decided,
        and these have the other ones.
        """
        for node in nodes:
            self.turn(bare, node)

    def turn(self, bare: str, node: NodeId) -> None:
        """Note that a session of an account has left a node, by which some may be under way."""
        way = self.taken.get(bare)
        if way is None:
            self._put(bare, WayTaken(None, (node,)))
        else:
            way.by = None
            way.nodes = tuple(dict.fromkeys((node, *way.nodes)))[:MAX_NODES]

    def _put(self, bare: str, way: WayTaken) -> None:
        self.taken.pop(bare, None)
        self.taken[bare] = way
        if len(self.taken) > MAX_WAYS:
            oldest = next(iter(self.taken))
            if not self.taken[oldest].turning:
                del self.taken[oldest]

    def nodes(self, bare: str) -> tuple[NodeId, ...]:
        """The nodes by which stanzas for an account went lately, the last one first."""
        way = self.taken.get(bare)
        return () if way is None else way.nodes

    def turned(self, bare: str, node: NodeId | None) -> None:
        """Note that nothing is under way by any other node than this."""
        del self.taken[bare]
        if node is not None:
            self.goes_by(bare, node)

    def forget_node(self, node: NodeId) -> None:
        """Forget that anything is under way by this node."""
        for bare, way in tuple(self.taken.items()):
            if node in way.nodes:
                way.nodes = tuple(each for each in way.nodes if each != node)
                if not (way.nodes or way.turning):
                    del self.taken[bare]


__all__ = ["MAX_NODES", "MAX_WAYS", "WayTaken", "Ways"]
