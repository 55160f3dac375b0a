"""Goodbyes: what was said last to rooms that nobody had just then is said again (RM-79)."""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.stanza import JID, StanzaError

AGAIN_S = 5.0
MAX_TRIES = 120
"""Of one room: ten minutes, in which somebody else has it or asks who is in."""

MAX_SESSIONS = 10_000
"""Of all rooms; who is not said to be gone then is found out when the room is taken up."""

_log = Logger()


class Goodbyes:
    """Has rooms know who has left while no node had them.

    Args:
        is_in: Whether a session is in a room again, for all that is known here.
        say: Says to whoever has a room which sessions are not in it.
        clock: The reactor's.
    """

    def __init__(
        self,
        is_in: Callable[[JID, JID], Awaitable[bool]],
        say: Callable[[str, list[str]], Awaitable[object]],
        clock: IReactorTime,
    ) -> None:
        self.is_in = is_in
        self.say = say
        self.clock = clock
        self._unsaid: dict[str, set[str]] = {}
        self._tries: dict[str, int] = {}
        self._count = 0
        self._saying = False
        self._next: IDelayedCall | None = None

    def unsaid(self, room: str, session: JID) -> None:
        """Note that a session has left a room that nobody had.

        Args:
            room: Bare JID of the room.
            session: Full JID of the session.
        """
        sessions = self._unsaid.setdefault(room, set())
        if self._count < MAX_SESSIONS and session.full not in sessions:
            sessions.add(session.full)
            self._count += 1
        if self._next is None and not self._saying:
            self._next = self.clock.callLater(AGAIN_S, self._due)

    def _due(self) -> None:
        self._next, self._saying = None, True
        Deferred.fromCoroutine(self._say_all()).addErrback(_failed).addBoth(self._said)

    def _said(self, _: object) -> None:
        self._saying = False
        self._next = self.clock.callLater(AGAIN_S, self._due) if self._unsaid else None

    async def _say_all(self) -> None:
        for room in tuple(self._unsaid):
            sessions = self._unsaid.pop(room)
            self._count -= len(sessions)
            jid = JID.prepared(room)
            gone = [each for each in sessions if not await self.is_in(JID.prepared(each), jid)]
            tries = self._tries.pop(room, 0) + 1
            try:
                if gone:
                    await self.say(room, gone)
            except StanzaError:
                if tries < MAX_TRIES:
                    self._tries[room] = tries
                    for each in gone:
                        self.unsaid(room, JID.prepared(each))

    def stop(self) -> None:
        """Say nothing any more."""
        if self._next is not None and self._next.active():
            self._next.cancel()


def _failed(failure: Failure) -> None:
    _log.failure("rooms could not be notified of who left", failure)


__all__ = ["AGAIN_S", "MAX_SESSIONS", "MAX_TRIES", "Goodbyes"]
