"""Reassertions: sessions here are entered in the directory again, since they may not be there."""

from collections.abc import Iterable
from typing import Protocol

from twisted.internet.defer import Deferred, DeferredLock, gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.membership import NodeLost
from xmppd.session.local_client_session import LocalClientSession

SESSIONS_PER_S = 5_000
AT_ONCE = 50
AGAIN_AFTER_S = 1.0


class Reasserts(Protocol):
    """Enters a session of this node again."""

    async def reassert(self, session: LocalClientSession, *, rebuild: bool = False) -> None:
        """Say again that a session is here.

        Raises:
            DirectoryAway: The directory does not answer.
        """


class Reassertions:
    """Enters all sessions again, at a pace that leaves Redis to others (CL-66).

    Args:
        sessions: Those of this node, by the id of their stream.
        locations: Enters one of them.
        clock: The reactor's.
    """

    def __init__(
        self, sessions: dict[str, LocalClientSession], locations: Reasserts, clock: IReactorTime
    ) -> None:
        self._sessions = sessions
        self._locations = locations
        self._clock = clock
        self._lock = DeferredLock()
        self._waits_for_lost = False

    async def after_loss(self) -> None:
        """Enter all sessions as they are, since the directory may have lost them."""
        await self._lock.run(lambda: Deferred.fromCoroutine(self._enter_all(rebuild=True)))

    async def node_lost(self, event: NodeLost) -> None:
        """See to it that all are there: that node may have replaced one of ours, and died before it
        could tell us.
        """
        if self._waits_for_lost:
            return
        self._waits_for_lost = True
        await self._lock.run(self._enter_for_lost)

    def _enter_for_lost(self) -> Deferred[None]:
        self._waits_for_lost = False
        return Deferred.fromCoroutine(self._enter_all(rebuild=False))

    async def _enter_all(self, *, rebuild: bool) -> None:
        ids = tuple(self._sessions)
        for start in range(0, len(ids), AT_ONCE):
            if start:
                await deferLater(self._clock, AT_ONCE / SESSIONS_PER_S)
            await self._enter(ids[start : start + AT_ONCE], rebuild=rebuild)

    async def _enter(self, ids: Iterable[str], *, rebuild: bool) -> None:
        """Enter some of them, and those again for whom the directory has not answered."""
        waiting = list(ids)
        while waiting:
            entered = [
                Deferred.fromCoroutine(self._is_entered(id, rebuild=rebuild)) for id in waiting
            ]
            done: list[bool] = await gatherResults(entered)
            waiting = [id for id, is_done in zip(waiting, done, strict=True) if not is_done]
            if waiting:
                await deferLater(self._clock, AGAIN_AFTER_S)

    async def _is_entered(self, id: str, *, rebuild: bool) -> bool:
        session = self._sessions.get(id)
        if session is None or not session.serial:
            return True  # it has ended meanwhile, or is about to be entered
        try:
            await self._locations.reassert(session, rebuild=rebuild)
        except DirectoryAway:
            return False
        return True


__all__ = ["Reassertions", "Reasserts"]
