"""Claims: who has a thing that lives only once in the service."""

from collections.abc import Awaitable
from typing import Protocol

from xmppd.cluster.node import Node, NodeId


class Owned(Protocol):
    """A kind of things each of which lives at one node only.

    Attributes:
        kind: Its name, such as ``s2s``.
    """

    kind: str

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        """Begin to serve a thing.

        Args:
            name: Its name.
            token: Rises with every owner; goes with all that is written for the thing.
            state: What :meth:`lay_down` gave, if it comes from another node; None if it has to be
                read from the store.
        """

    async def lay_down(self, name: str) -> bytes:
        """Serve it no more, since it moves to another node; returns what must not be forgotten."""

    def lost(self, name: str) -> None:
        """Forget it and write nothing: this node was fenced."""

    def absent(self, node: Node) -> None:
        """Note that a node is lost: after the grace its people are gone from all things here."""


class Claims(Protocol):
    """The owners of things that live once."""

    async def owner(self, kind: str, name: str) -> NodeId:
        """The node that has a thing; if none has it, one that takes this kind gets it.

        Raises:
            DirectoryAway: The owner is not known, and cannot be asked for.
        """

    def mine(self, kind: str, name: str) -> int | None:
        """The token of a thing that is ours at this moment; None if it is not."""

    async def give_up(self, kind: str, name: str, to: NodeId | None = None) -> None:
        """Give a thing to another node, or to whichever needs it next."""

    def put(self, part: Owned, owner: str) -> "Awaitable[None]":
        """Take up things of this kind from now on."""


__all__ = ["Claims", "Owned"]
