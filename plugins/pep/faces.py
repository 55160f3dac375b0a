"""Faces: nodes that show what other nodes have, for clients that look for it there."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from xmppd.stanza import JID, Element


class NodeFace(Protocol):
    """Answers its owner's requests about a node."""

    async def ask(self, account: JID, who: JID, kind: str, query: Element) -> bytes | None:
        """Do what is asked, or see to it that it can be done.

        Args:
            account: Bare JID of the owner.
            who: Asks.
            kind: The type of the iq.
            query: Its child.

        Returns:
            The child of the result; None if the request goes on to the node itself.

        Raises:
            StanzaError: It cannot be done.
        """


class NodeFaces:
    """The faces of nodes.

    Attributes:
        by_node: By the name of the node.
        changed: Called with the account when something in the node of this name has changed, and
            that has been told.
        seen: The same, at every server of the service that has a session of the account.
    """

    def __init__(self) -> None:
        self.by_node: dict[str, NodeFace] = {}
        self.changed: dict[str, Callable[[JID], Awaitable[None]]] = {}
        self.seen: dict[str, Callable[[JID], Awaitable[None]]] = {}

    async def told(self, account: JID, node: str, *, here: bool) -> None:
        """Have those look who wanted to know of changes in a node.

        Args:
            account: Bare JID of its owner.
            node: Its name.
            here: Whether it was changed at this server of the service.
        """
        for look in (self.changed, self.seen) if here else (self.seen,):
            if node in look:
                await look[node](account)


__all__ = ["NodeFace", "NodeFaces"]
