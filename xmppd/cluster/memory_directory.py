"""A directory in memory, for nodes that live in one process: those of tests."""

from collections.abc import Callable, Collection, Mapping

from typing_extensions import override

from xmppd.cluster.directory import (
    AccountClosed,
    Directory,
    Entered,
    ResourceTaken,
    TooManySessions,
)
from xmppd.cluster.node import Location, NodeId
from xmppd.stanza import JID

CLOSED_S = 60.0
"""The time for which nobody may enter a closed account."""


class MemoryDirectoryState:
    """What all nodes of a directory in memory share.

    Args:
        seconds: The directory's own clock.

    Attributes:
        accounts: By bare JID the locations of sessions, by resource.
        components: By domain the nodes with connections, and their number.
        fenced: The generations that count as absent.
        serial: The last one.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.accounts: dict[str, dict[str, Location]] = {}
        self.closed: dict[str, float] = {}
        self.components: dict[str, dict[str, int]] = {}
        self.fenced: set[NodeId] = set()
        self.serial = 0

    def next_serial(self) -> int:
        """A serial: microseconds, never the same twice."""
        self.serial = max(self.serial + 1, int(self.seconds() * 1_000_000))
        return self.serial

    def sessions(self, account: str) -> dict[str, Location]:
        """The sessions of an account whose nodes are not fenced."""
        found = self.accounts.get(account, {})
        return {r: place for r, place in found.items() if place.node not in self.fenced}


class MemoryDirectory(Directory):
    """One node's view of the directory.

    Args:
        id: The node.
        state: Shared by all nodes.
    """

    def __init__(self, id: NodeId, state: MemoryDirectoryState) -> None:
        self.id = id
        self.state = state

    @override
    async def enter(self, jid: JID, *, conflict: str, max_sessions: int) -> Entered:
        state, resource = self.state, jid.resource or ""
        if state.closed.get(jid.bare, 0.0) > state.seconds():
            raise AccountClosed(f"{jid.bare} is being closed")
        others = state.sessions(jid.bare)
        held = others.get(resource)
        if held is not None and conflict != "kick":
            raise ResourceTaken(held)
        if held is None and len(others) >= max_sessions:
            raise TooManySessions(others)
        place = Location(self.id, state.next_serial())
        state.accounts.setdefault(jid.bare, {})[resource] = place
        return Entered(place.serial, others)

    @override
    async def leave(self, jid: JID, serial: int) -> None:
        sessions = self.state.accounts.get(jid.bare, {})
        if sessions.get(jid.resource or "") == Location(self.id, serial):
            del sessions[jid.resource or ""]
            if not sessions:
                del self.state.accounts[jid.bare]

    @override
    async def move(self, jid: JID, old: Location) -> bool:
        sessions = self.state.accounts.get(jid.bare, {})
        if sessions.get(jid.resource or "") != old:
            return False
        sessions[jid.resource or ""] = Location(self.id, old.serial)
        return True

    @override
    async def reassert(self, jid: JID, serial: int, *, rebuild: bool) -> int | None:
        held = self.state.sessions(jid.bare).get(jid.resource or "")
        if held == Location(self.id, serial):
            return serial
        if held is not None and held.serial > serial:
            return None
        serial = serial if rebuild else self.state.next_serial()
        sessions = self.state.accounts.setdefault(jid.bare, {})
        sessions[jid.resource or ""] = Location(self.id, serial)
        return serial

    @override
    async def sessions_of(self, account: str) -> Mapping[str, Location]:
        return self.state.sessions(account)

    @override
    async def nodes_of(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        found = {}
        for account in accounts:
            nodes = by_node(self.state.sessions(account).values(), but=self.id)
            if nodes:
                found[account] = nodes
        return found

    @override
    async def close_account(self, account: str) -> Mapping[str, Location]:
        self.state.closed[account] = self.state.seconds() + CLOSED_S
        return self.state.sessions(account)

    @override
    async def connect_component(self, domain: str, connections: int) -> None:
        nodes = self.state.components.setdefault(domain, {})
        nodes[str(self.id)] = connections
        if not connections:
            del nodes[str(self.id)]

    @override
    async def nodes_with_component(self, domain: str) -> Mapping[str, int]:
        return dict(self.state.components.get(domain, {}))


def by_node(locations: Collection[Location], but: NodeId) -> tuple[Location, ...]:
    """The other nodes that have some of these sessions, each with its highest serial, the one with
    the oldest session first.
    """
    oldest: dict[NodeId, int] = {}
    newest: dict[NodeId, int] = {}
    for node, serial in locations:
        if node != but:
            oldest[node] = min(serial, oldest.get(node, serial))
            newest[node] = max(serial, newest.get(node, serial))
    return tuple(Location(node, newest[node]) for node in sorted(oldest, key=oldest.__getitem__))


__all__ = ["MemoryDirectory", "MemoryDirectoryState", "by_node"]
