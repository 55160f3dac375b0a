"""Cluster: what a node has of the others."""

from dataclasses import dataclass

from xmppd.cluster.bus import Bus, LocalBus
from xmppd.cluster.claims import Claims
from xmppd.cluster.directory import Directory, LocalDirectory
from xmppd.cluster.membership import LocalMembership, Membership
from xmppd.cluster.memory_claim_board import MemoryClaimBoard, MemoryClaims
from xmppd.cluster.tally import NoTally, Tally


@dataclass(frozen=True)
class Cluster:
    """All that the stages of a node have of the other nodes.

    Attributes:
        membership: Which ones there are.
        directory: Where the sessions of accounts are.
        bus: What is said to them.
        claims: Which of them has what lives only once.
        tally: Counts that they share: of failed logins.
    """

    membership: Membership
    directory: Directory
    bus: Bus
    claims: Claims
    tally: Tally


def alone() -> Cluster:
    """The cluster of a single node."""
    membership, bus = LocalMembership(), LocalBus()
    claims = Claims(MemoryClaimBoard(MemoryClaims(), membership), membership, bus)
    return Cluster(membership, LocalDirectory(), bus, claims, NoTally())


__all__ = ["Cluster", "alone"]
