"""Entries about routes that other nodes have: components and other servers."""

from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import BusEntry, JIDText, OurJIDText

MAX_CONNECTIONS = 1_000
"""Of one component to one node."""


class ComponentAt(BusEntry, tag="x", frozen=True):
    """The connections of a component that a node has.

    Attributes:
        domain: Of the component.
        numbers: Each connection's own.
    """

    domain: JIDText
    numbers: Annotated[list[int], Meta(max_length=MAX_CONNECTIONS)]

    @property
    def about(self) -> str:
        """The component."""
        return self.domain


class ServerLost(BusEntry, tag="rl", frozen=True):
    """Another server cannot be reached any more.

    Attributes:
        local: By this domain of ours.
        remote: That server's domain.
    """

    local: OurJIDText
    remote: JIDText


__all__ = ["MAX_CONNECTIONS", "ComponentAt", "ServerLost"]
