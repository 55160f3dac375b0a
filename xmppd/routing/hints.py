"""Hints: on which nodes accounts were a short while ago."""

from collections import OrderedDict
from collections.abc import Callable

from xmppd.cluster.node import Location, NodeId

MAX_HINTS = 10_000
HINT_S = 60.0
"""The time for which a hint is gone by; a node that is wrongly sent something passes it on."""


class Hints:
    """The nodes of accounts with which nobody here has to do for longer.

    That nobody is there is never remembered: somebody may come at any moment.

    Args:
        seconds: The time on the steady clock.

    Attributes:
        nodes: By bare JID until when, and the nodes; who is looked for asks :meth:`get`.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self.nodes: OrderedDict[str, tuple[float, tuple[Location, ...]]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.nodes)

    def get(self, account: str) -> tuple[Location, ...]:
        """The nodes of an account, that of its oldest session first; empty if none is known."""
        if account not in self.nodes:
            return ()
        until, nodes = self.nodes[account]
        if self._seconds() >= until:
            del self.nodes[account]
            return ()
        return nodes

    def note(self, account: str, nodes: tuple[Location, ...]) -> None:
        """Note where an account is; nowhere is forgotten instead."""
        self.nodes.pop(account, None)
        if not nodes:
            return
        self.nodes[account] = self._seconds() + HINT_S, nodes
        if len(self.nodes) > MAX_HINTS:
            self.nodes.popitem(last=False)

    def forget(self, account: str) -> None:
        """Forget where an account was, since more is known of it now."""
        self.nodes.pop(account, None)

    def forget_node(self, node: NodeId) -> None:
        """Forget that anybody is on this node."""
        for account, (until, nodes) in tuple(self.nodes.items()):
            left = tuple(each for each in nodes if each.node != node)
            if left:
                self.nodes[account] = until, left
            else:
                del self.nodes[account]
