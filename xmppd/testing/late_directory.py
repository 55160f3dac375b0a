"""A directory whose answers are under way for a while, as those of a real one are."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import TypeVar

from twisted.internet.defer import Deferred
from typing_extensions import override

from xmppd.cluster.directory import Directory, DirectoryAway, Entered, Found
from xmppd.cluster.node import Location, NodeId
from xmppd.stanza import JID

T = TypeVar("T")


class LateDirectory(Directory):
    """Passes on what is asked, and the answer, when the network settles.

    Args:
        directory: That is asked.
        later: Calls a function when what is under way arrives.

    Attributes:
        away: Whether it does not answer.
    """

    away = False

    def __init__(self, directory: Directory, later: Callable[..., None]) -> None:
        self.directory = directory
        self._later = later

    async def _ask(self, work: Callable[[], Awaitable[T]]) -> T:
        await self._way()
        if self.away:
            raise DirectoryAway("it is away")
        try:
            return await work()
        finally:
            await self._way()

    def _way(self) -> Deferred[None]:
        way = Deferred[None]()
        self._later(way.callback, None)
        return way

    @override
    async def enter(self, jid: JID, *, conflict: str, max_sessions: int) -> Entered:
        return await self._ask(
            lambda: self.directory.enter(jid, conflict=conflict, max_sessions=max_sessions)
        )

    @override
    async def leave(self, jid: JID, serial: int) -> None:
        await self._ask(lambda: self.directory.leave(jid, serial))

    @override
    async def move(self, jid: JID, old: Location) -> bool:
        return await self._ask(lambda: self.directory.move(jid, old))

    @override
    async def reassert(self, jid: JID, serial: int, *, rebuild: bool) -> Entered:
        return await self._ask(lambda: self.directory.reassert(jid, serial, rebuild=rebuild))

    @override
    async def sessions_of(self, account: str) -> Mapping[str, Location]:
        return await self._ask(lambda: self.directory.sessions_of(account))

    @override
    async def nodes_of(self, accounts: Collection[str]) -> Mapping[str, tuple[Location, ...]]:
        return await self._ask(lambda: self.directory.nodes_of(accounts))

    @override
    async def close_account(self, account: str) -> Mapping[str, Location]:
        return await self._ask(lambda: self.directory.close_account(account))

    @override
    async def look_through(self, node: NodeId, found: Found) -> None:
        await self._ask(lambda: self.directory.look_through(node, found))

    @override
    async def strangers(self) -> Mapping[NodeId, int]:
        return await self._ask(self.directory.strangers)

    @override
    async def sweep(self, node: NodeId, found: Found) -> None:
        await self._ask(lambda: self.directory.sweep(node, found))


__all__ = ["LateDirectory"]
