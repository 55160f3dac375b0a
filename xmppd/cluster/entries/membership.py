"""Entries of nodes about each other."""

from enum import Enum

from xmppd.cluster.entries.entry import BusEntry


class Renew(BusEntry, tag="lease?", frozen=True):
    """Redis does not answer the sender: its lease is to be renewed for it."""


class LeaseState(Enum):
    """What became of a lease that another node was asked to renew."""

    RENEWED = "renewed"
    FENCED = "fenced"
    AWAY = "away"
    """Redis does not answer that node either."""
    UNKNOWN = "unknown"


class LeaseRenewed(BusEntry, tag="lease", frozen=True):
    """The answer to :class:`Renew`."""

    state: LeaseState


class TryAddress(BusEntry, tag="nt", frozen=True):
    """The sender has just joined: does its address lead to it?"""


class AddressTried(BusEntry, tag="na", frozen=True):
    """The answer to :class:`TryAddress`.

    Attributes:
        trouble: Why it does not; empty if it does.
    """

    trouble: str


__all__ = ["AddressTried", "LeaseRenewed", "LeaseState", "Renew", "TryAddress"]
