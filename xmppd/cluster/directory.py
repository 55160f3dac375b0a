"""Directory: on which nodes the sessions of an account are."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from xmppd.cluster.node import Location, NodeId
from xmppd.stanza import JID
from xmppd.stanza.phrases import counted

CLOSED_S = 60.0
"""The time for which nobody may enter a closed account."""


@dataclass(frozen=True, slots=True)
class Entered:
    """A session is in the directory.

    Attributes:
        serial: Its own.
        others: All other sessions of the account, here and elsewhere, by resource; also that of
            the same resource which it has replaced.
    """

    serial: int
    others: Mapping[str, Location] = field(default_factory=dict)


class DirectoryError(Exception):
    """An error: the directory refuses, or cannot be asked."""


class ResourceTaken(DirectoryError):
    """An error: another session has the resource, and keeps it.

    Attributes:
        holder: Where it is.
    """

    def __init__(self, holder: Location) -> None:
        super().__init__(f"{holder.node} has a session with this resource")
        self.holder = holder


class TooManySessions(DirectoryError):
    """An error: the account has as many sessions as it may.

    Attributes:
        others: These, by resource.
    """

    def __init__(self, others: Mapping[str, Location]) -> None:
        super().__init__(f"the account has {counted(len(others), 'session')}")
        self.others = others


class AccountClosed(DirectoryError):
    """An error: the account is just being removed or disabled, or its password changed."""


class DirectoryAway(DirectoryError):
    """An error: the directory does not answer."""


class DirectoryIncomplete(DirectoryAway):
    """An error: not all sessions are in the directory again since it has lost them, so whoever was
    not found may be anywhere.

    Attributes:
        found: The nodes of those who were.
    """

    def __init__(self, found: Mapping[str, tuple[Location, ...]]) -> None:
        super().__init__("not all sessions are in the directory")
        self.found = found


Found = Callable[[Mapping[str, Mapping[str, Location]]], Awaitable[None]]
"""Is called with sessions by account and resource."""


class Directory(Protocol):
    """The sessions of all accounts of the service, and the nodes they are on.

    Every method raises :class:`DirectoryAway` if it cannot be asked. Accounts are bare JIDs. What
    is of a generation that is not in any more is not there.

    Attributes:
        shared: Whether other nodes enter sessions as well: what is not here may be there.
    """

    shared: bool = True

    async def enter(self, jid: JID, *, conflict: str, max_sessions: int) -> Entered:
        """Enter a session of this node.

        Args:
            jid: Full JID.
            conflict: ``kick``, ``refuse`` or ``rename``: what becomes of another session of this
                JID; only with the first it is replaced.
            max_sessions: The most that the account may have.

        Raises:
            ResourceTaken: Another session keeps it.
            TooManySessions: The account has as many as it may.
            AccountClosed: Nobody may log in just now.
        """

    async def leave(self, jid: JID, serial: int) -> None:
        """Take out a session of this node, if it is still this one that is in (CL-73)."""

    async def move(self, jid: JID, old: Location) -> bool:
        """Have a session that was at another node be at this one, with the same serial.

        Returns:
            Whether it is at this one now; False if it is not there any more.
        """

    async def reassert(self, jid: JID, serial: int, *, rebuild: bool) -> Entered:
        """Say again that a session is here: the directory may have lost it, or another node may
        have replaced it and died before it could say so.

        Args:
            jid: Full JID.
            serial: That it has.
            rebuild: Whether the directory was empty, so that it gets back the serial it has;
                otherwise it gets a new one if it has to be entered anew.

        Returns:
            Its serial from now on, and of all others only the one that it has replaced, whose node
            nobody else tells.

        Raises:
            ResourceTaken: A later session has its place.
        """

    async def sessions_of(self, account: str) -> Mapping[str, Location]:
        """All sessions of an account, by resource."""

    async def nodes_of(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        """For each account with a session at another node those nodes, each with the highest serial
        there, the node of the oldest session first.

        Raises:
            DirectoryIncomplete: Some are not found, and may be there all the same.
        """

    async def close_account(self, account: str) -> Mapping[str, Location]:
        """Let nobody enter a session of this account for a minute, since a login may be under way
        (CL-74).

        Returns:
            All its sessions, by resource.
        """

    async def look_through(self, node: NodeId, found: Found) -> None:
        """Call this with all sessions of a node, by account and resource, a part after the other.

        Args:
            node: That has them.
            found: If it fails, so does this.
        """

    async def strangers(self) -> Mapping[NodeId, int]:
        """The number of sessions that are noted at nodes which are not in, by node."""

    async def sweep(self, node: NodeId, found: Found) -> None:
        """Take out all sessions of a node that is lost, a part after the other (CL-76).

        Args:
            node: That is lost.
            found: Called with each part before it is taken out: sessions by account and resource.
                If this fails, so does the sweep, and the next one finds this part again.
        """


class LocalDirectory:
    """The directory of a single node, which knows its sessions without."""

    shared = False

    def __init__(self) -> None:
        self._serials = count(1)

    async def enter(self, jid: JID, *, conflict: str, max_sessions: int) -> Entered:
        """Give it a serial; the SessionManager decides all else."""
        return Entered(next(self._serials))

    async def leave(self, jid: JID, serial: int) -> None:
        """Do nothing."""

    async def move(self, jid: JID, old: Location) -> bool:
        """False: there is no other node."""
        return False

    async def reassert(self, jid: JID, serial: int, *, rebuild: bool) -> Entered:
        """It is here."""
        return Entered(serial)

    async def sessions_of(self, account: str) -> Mapping[str, Location]:
        """No others."""
        return {}

    async def nodes_of(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        """No others."""
        return {}

    async def close_account(self, account: str) -> Mapping[str, Location]:
        """No others."""
        return {}

    async def look_through(self, node: NodeId, found: Found) -> None:
        """Do nothing: nobody is noted."""

    async def strangers(self) -> Mapping[NodeId, int]:
        """None."""
        return {}

    async def sweep(self, node: NodeId, found: Found) -> None:
        """Do nothing: no other node is lost."""


def by_node(locations: Collection[Location], but: NodeId) -> tuple[Location, ...]:
    """The other nodes that have some of these sessions, each with its highest serial, the one with
    the oldest session first.
    """
    if len(locations) == 1:  # as most people have
        return tuple(each for each in locations if each.node != but)
    oldest: dict[NodeId, int] = {}
    newest: dict[NodeId, int] = {}
    for node, serial in locations:
        if node != but:
            oldest[node] = min(serial, oldest.get(node, serial))
            newest[node] = max(serial, newest.get(node, serial))
    return tuple(Location(node, newest[node]) for node in sorted(oldest, key=oldest.__getitem__))


__all__ = [
    "CLOSED_S",
    "AccountClosed",
    "Directory",
    "DirectoryAway",
    "DirectoryError",
    "DirectoryIncomplete",
    "Entered",
    "Found",
    "LocalDirectory",
    "ResourceTaken",
    "TooManySessions",
    "by_node",
]
