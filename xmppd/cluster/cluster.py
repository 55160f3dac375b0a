"""Cluster: what a node has of the others."""

from dataclasses import dataclass

from xmppd.cluster.bus import Bus, LocalBus
from xmppd.cluster.directory import Directory, LocalDirectory
from xmppd.cluster.membership import LocalMembership, Membership


@dataclass(frozen=True)
class Cluster:
    """All that the stages of a node have of the other nodes.

    Attributes:
        membership: Which ones there are.
        directory: Where the sessions of accounts are.
        bus: What is said to them.
    """

    membership: Membership
    directory: Directory
    bus: Bus


def alone() -> Cluster:
    """The cluster of a single node."""
    return Cluster(LocalMembership(), LocalDirectory(), LocalBus())


__all__ = ["Cluster", "alone"]
