"""Entries of nodes about each other."""

from enum import Enum
from typing import Annotated

from msgspec import Meta

from xmppd.cluster.entries.entry import BusEntry

MAX_NODE = 100
"""The characters that the id of a node may have."""


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


class CountSessions(BusEntry, tag="nc", frozen=True):
    """The sender drains: does that node take sessions, and how many has it?"""


class SessionCount(BusEntry, tag="ns", frozen=True):
    """The answer to :class:`CountSessions`.

    Attributes:
        sessions: Those that are bound there.
        draining: Whether it takes none.
    """

    sessions: Annotated[int, Meta(ge=0)]
    draining: bool


class Swept(BusEntry, tag="nw", frozen=True):
    """Nothing of a lost node is left: nobody has to sweep behind it any more.

    Attributes:
        node: Its id as text.
    """

    node: Annotated[str, Meta(max_length=MAX_NODE)]


__all__ = [
    "AddressTried",
    "CountSessions",
    "LeaseRenewed",
    "LeaseState",
    "Renew",
    "SessionCount",
    "Swept",
    "TryAddress",
]
