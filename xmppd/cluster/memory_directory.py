"""A directory in memory, for nodes that live in one process: those of tests."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping

from typing_extensions import override

from xmppd.cluster.directory import (
    CLOSED_S,
    AccountClosed,
    Directory,
    DirectoryAway,
    Entered,
    Found,
    ResourceTaken,
    TooManySessions,
    by_node,
)
from xmppd.cluster.node import Location, NodeId
from xmppd.stanza import JID


class MemoryDirectoryState:
    """What all nodes of a directory in memory share.

    Args:
        seconds: The directory's own clock.

    Attributes:
        accounts: By bare JID the locations of sessions, by resource.
        fenced: The generations that count as absent.
        serial: The last one.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.accounts: dict[str, dict[str, Location]] = {}
        self.closed: dict[str, float] = {}
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
        self._refuse_fenced()
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
        self._take_out(jid.bare, jid.resource or "", Location(self.id, serial))

    @override
    async def move(self, jid: JID, old: Location) -> bool:
        self._refuse_fenced()
        sessions = self.state.accounts.get(jid.bare, {})
        here = Location(self.id, old.serial)
        if sessions.get(jid.resource or "") == old:
            sessions[jid.resource or ""] = here
        return sessions.get(jid.resource or "") == here

    @override
    async def reassert(self, jid: JID, serial: int, *, rebuild: bool) -> Entered:
        self._refuse_fenced()
        resource = jid.resource or ""
        held = self.state.sessions(jid.bare).get(resource)
        if held == Location(self.id, serial):
            return Entered(serial)
        if held is not None and held.serial > serial:
            raise ResourceTaken(held)
        serial = serial if rebuild else self.state.next_serial()
        sessions = self.state.accounts.setdefault(jid.bare, {})
        sessions[resource] = Location(self.id, serial)
        return Entered(serial, {} if held is None else {resource: held})

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
    async def look_through(self, node: NodeId, found: Found) -> None:
        for account, sessions in tuple(self.state.accounts.items()):
            there = {r: place for r, place in sessions.items() if place.node == node}
            if there:
                await found({account: there})

    @override
    async def strangers(self) -> Mapping[NodeId, int]:
        places = (place for each in self.state.accounts.values() for place in each.values())
        return Counter(place.node for place in places if place.node in self.state.fenced)

    @override
    async def sweep(self, node: NodeId, found: Found) -> None:
        async def forget(page: Mapping[str, Mapping[str, Location]]) -> None:
            await found(page)
            for account, sessions in page.items():
                for resource, place in sessions.items():
                    self._take_out(account, resource, place)

        await self.look_through(node, forget)

    def _take_out(self, account: str, resource: str, place: Location) -> None:
        sessions = self.state.accounts.get(account, {})
        if sessions.get(resource) == place:
            del sessions[resource]
            if not sessions:
                del self.state.accounts[account]

    def _refuse_fenced(self) -> None:
        if self.id in self.state.fenced:
            raise DirectoryAway(f"{self.id} is fenced")


__all__ = ["MemoryDirectory", "MemoryDirectoryState"]
