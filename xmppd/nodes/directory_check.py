"""DirectoryCheck: compares what is here with what all nodes know of it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, FirstError, gatherResults

from xmppd.cluster.claims import Claims
from xmppd.cluster.node import Location, NodeId
from xmppd.nodes.directory_sweep import DirectorySweep
from xmppd.routing.locations import Locations
from xmppd.session.local_client_session import LocalClientSession
from xmppd.store.sessions import SessionStore

AT_ONCE = 50
"""Sessions that are looked for in the directory at the same time."""


class Differing(NamedTuple):
    """What differs from what all nodes know.

    Attributes:
        what: What was compared.
        differ: How many of these differ.
        repaired: How many of those do no more, or soon will not.
    """

    what: str
    differ: int
    repaired: int


class DirectoryCheck:
    """Compares sessions and things that live once with the directory and the board (CL-126).

    Args:
        locations: The places of the sessions here.
        claims: What is here and lives once.
        sweep: Takes out what is left of nodes that are gone.
        saved: Knows which of these have saved sessions, that may still be resumed.
    """

    def __init__(
        self, locations: Locations, claims: Claims, sweep: DirectorySweep, saved: SessionStore
    ) -> None:
        self._locations = locations
        self._directory = locations.directory
        self._claims = claims
        self._sweep = sweep
        self._saved = saved

    async def here(self, *, repair: bool) -> AsyncIterator[Differing]:
        """Compare what this node has.

        Args:
            repair: Whether the directory and the board are told what is here.

        Raises:
            DirectoryAway: They cannot be asked.
        """
        yield await self._sessions(repair=repair)
        yield await self._places(repair=repair)
        differ = await self._claims.differing(repair=repair)
        yield Differing("things that one node owns", differ, differ if repair else 0)

    async def gone(self, *, repair: bool) -> AsyncIterator[Differing]:
        """Look for what is left of nodes that are gone, behind which nobody is sweeping.

        Args:
            repair: Whether somebody does from now on.

        Raises:
            DirectoryAway: They cannot be asked.
            StoreError: The store cannot.
        """
        differ = 0
        resumable = await self._saved.nodes()
        for node, count in (await self._directory.strangers()).items():
            if str(node) not in resumable and await self._is_forgotten(node):
                differ += count
                if repair:
                    await self._sweep.behind(node)
        yield Differing("sessions at nodes that are gone", differ, differ if repair else 0)
        differ = await self._claims.void(remove=repair)
        yield Differing("things owned by nodes that are gone", differ, differ if repair else 0)

    async def _is_forgotten(self, node: NodeId) -> bool:
        return await self._claims.is_nobodys(self._sweep.kind, str(node))

    async def _sessions(self, *, repair: bool) -> Differing:
        """Sessions whose place is not the one that the directory has."""
        sessions = tuple(self._locations.sessions.sessions.values())
        differ = repaired = 0
        for start in range(0, len(sessions), AT_ONCE):
            for session in await self._elsewhere(sessions[start : start + AT_ONCE]):
                differ += 1
                if repair:
                    await self._locations.reassert(session)
                    repaired += 1
        return Differing("sessions that are not in the directory", differ, repaired)

    async def _elsewhere(self, sessions: Sequence[LocalClientSession]) -> list[LocalClientSession]:
        """Those of them that the directory has elsewhere, or nowhere."""
        looking = [Deferred.fromCoroutine(self._is_elsewhere(session)) for session in sessions]
        try:
            found: list[bool] = await gatherResults(looking, consumeErrors=True)
        except FirstError as error:
            error.subFailure.raiseException()
        return [session for session, is_so in zip(sessions, found, strict=True) if is_so]

    async def _is_elsewhere(self, session: LocalClientSession) -> bool:
        if not self._is_settled(session):
            return False
        place, jid = Location(self._locations.id, session.serial), session.jid
        places = await self._directory.sessions_of(jid.bare)
        is_same = self._is_settled(session) and session.serial == place.serial
        return is_same and places.get(jid.resource or "") != place

    def _is_settled(self, session: LocalClientSession) -> bool:
        is_here = session.bound and session.id in self._locations.sessions.sessions
        return is_here and session.serial > 0 and not self._is_arriving(session.jid.bare)

    def _is_arriving(self, account: str) -> bool:
        return self._locations.siblings.arriving[account] > 0

    async def _places(self, *, repair: bool) -> Differing:
        """Places in the directory that are here, and that no session has."""
        differ = repaired = 0

        async def look(page: Mapping[str, Mapping[str, Location]]) -> None:
            nonlocal differ, repaired
            for account, places in page.items():
                count = 0
                if self._without_session(account, places):
                    await self._locations.left(account)
                    now = await self._directory.sessions_of(account)
                    count = len(self._without_session(account, now))
                differ += count
                if count and repair:
                    await self._locations.tidy(account)
                    repaired += count

        await self._directory.look_through(self._locations.id, look)
        return Differing("places in the directory without a session", differ, repaired)

    def _without_session(self, account: str, places: Mapping[str, Location]) -> list[str]:
        if self._is_arriving(account):
            return []
        sessions = self._locations.sessions.local_sessions(account)
        here = {session.jid.resource: session.serial for session in sessions}
        id = self._locations.id
        return [
            r for r, place in places.items() if place.node == id and here.get(r) != place.serial
        ]


__all__ = ["Differing", "DirectoryCheck"]
