"""AbsentOccupants: who is in a room and cannot be reached any more (RM-30 to RM-33)."""

from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.routing.remote_server import RemoteServerLost
from xmppd.stanza import IQ, JID, Condition, Presence, Stanza, escape, ns, qname

from .effects import GONE
from .hall import Hall
from .occupant import OccupantSession
from .room import Room

UNREACHED = 333
MAX_STATUS_BYTES = 256
MAX_LOST = 1_000
"""Servers that are lost and may come back; people of others leave when something comes back."""

BETWEEN_S = 1.0
"""From one look through all rooms to the next."""

SILENT_S = 3_600.0
MAX_ASKED = 600
"""People in different rooms who are asked in one minute, by all rooms here."""

BETWEEN_ASKED_S = 0.1
MAX_UNANSWERED = 2
NEVER = float("-inf")

InLine = Callable[[str, Callable[[], Awaitable[None]]], Coroutine[Any, Any, None]]
Ping = Callable[[JID, JID], Awaitable[IQ | None]]
_log = Logger()

_LOST = frozenset(
    qname(ns.STANZA_ERRORS, condition.tag)
    for condition in (
        Condition.GONE,
        Condition.ITEM_NOT_FOUND,
        Condition.JID_MALFORMED,
        Condition.RECIPIENT_UNAVAILABLE,
        Condition.REDIRECT,
        Condition.REMOTE_SERVER_NOT_FOUND,
        Condition.REMOTE_SERVER_TIMEOUT,
        Condition.SERVICE_UNAVAILABLE,
    )
)
"""The conditions that say of a session that nothing arrives there."""

_UNASKED = _LOST - {qname(ns.STANZA_ERRORS, Condition.SERVICE_UNAVAILABLE.tag)}
"""The same of who was asked: a client that knows no ping answers ``service-unavailable`` too."""

_TEXT = qname(ns.STANZA_ERRORS, "text")


class AbsentOccupants:
    """Has sessions leave that are gone without a word.

    Args:
        hall: Where the rooms are.
        service: Its domain.
        in_line: Does something in the line of a room.
        ping: Asks a session, in the name of a room; gives None if there is no answer.
        clock: For the time that is given.
    """

    def __init__(
        self, hall: Hall, service: str, in_line: InLine, ping: Ping, clock: IReactorTime
    ) -> None:
        self.hall = hall
        self.service = service
        self.in_line = in_line
        self.ping = ping
        self.clock = clock
        self._lost: dict[str, float] = {}  # since when
        self._giving_up: IDelayedCall | None = None
        self._asking: set[str] = set()  # rooms

    def came_back(self, room: Room, error: Stanza) -> None:
        """Take an error for something that the room has sent: whoever it says is gone leaves. An
        error from who is not in says nothing.
        """
        session = room.sessions.get(error.sender.full)
        if session is not None and _is_lost(error, _LOST):
            text = error.payload.tree.findtext(f"error/{_TEXT}") or ""
            self.leave(room, session, text.strip())

    def leave_all(self, room: Room, sessions: Iterable[OccupantSession]) -> None:
        """Have sessions leave that are gone."""
        for session in sessions:
            self.leave(room, session)
        self._settle(room)

    def leave(self, room: Room, session: OccupantSession, text: str = "") -> None:
        """Have a session leave that is gone; others are told so, and why."""
        status = text.encode()[:MAX_STATUS_BYTES].decode(errors="ignore")
        children = [f"<status>{escape(status)}</status>".encode()] if status else []
        said = Presence.make(None, room.jid, *children, type=GONE)
        self.hall.tell(room, room.leave(session, said, (UNREACHED,)))

    # -- servers that are lost --------------------------------------------------------------------

    def server_lost(self, event: RemoteServerLost) -> None:
        """Have everybody of a server leave that this service has lost, unless they are heard again
        within some time (RM-31).
        """
        if event.local_domain != self.service or len(self._lost) >= MAX_LOST:
            return
        self._lost.setdefault(event.remote_domain, self.hall.clocks.seconds())
        if self._giving_up is None:
            self._giving_up = self.clock.callLater(self.hall.settings.lost_server_s, self._give_up)

    def _give_up(self) -> None:
        """Have those leave whose servers were lost long enough ago, all in one pass."""
        grace_s = self.hall.settings.lost_server_s
        now = self.hall.clocks.seconds()
        due = {domain: since for domain, since in self._lost.items() if since <= now - grace_s}
        for room, session in self._remote():
            if session.heard <= due.get(session.jid.domain, NEVER):
                self.leave(room, session)
                self._settle(room)
        for domain in due:
            del self._lost[domain]
        self._giving_up = None
        if self._lost:
            left_s = min(self._lost.values()) + grace_s - now
            self._giving_up = self.clock.callLater(max(left_s, BETWEEN_S), self._give_up)

    def _remote(self) -> Iterator[tuple[Room, OccupantSession]]:
        """The sessions in rooms here that are of other servers; they may leave meanwhile."""
        ours = self.hall.commands.domains
        for name in tuple(self.hall.rooms.loaded):
            room = self.hall.rooms.loaded.get(name)
            if room is None or room.jid.domain != self.service:
                continue
            for session in tuple(room.sessions.values()):
                if session.jid.domain not in ours and session.jid.full in room.sessions:
                    yield room, session

    def _settle(self, room: Room) -> None:
        if not room.sessions:
            name = room.jid.full
            settling = self.in_line(name, lambda: self.hall.rooms.settle(name))
            Deferred.fromCoroutine(settling).addErrback(_failed)

    # -- who says nothing -------------------------------------------------------------------------

    def ask_silent(self) -> None:
        """Ask those of other servers who have said nothing for an hour whether they are there: one
        in each room at a time, and not too many in all (RM-32).
        """
        before = self.hall.clocks.seconds() - SILENT_S
        asked: set[str] = set()
        for room, session in self._remote():
            name = room.jid.full
            if session.heard <= before and name not in asked and name not in self._asking:
                asked.add(name)
                self.clock.callLater(len(asked) * BETWEEN_ASKED_S, self._ask, room, session)
                if len(asked) >= MAX_ASKED:
                    return

    def _ask(self, room: Room, session: OccupantSession) -> None:
        if room.sessions.get(session.jid.full) is session:
            self._asking.add(room.jid.full)
            Deferred.fromCoroutine(self._ask_one(room, session)).addErrback(_failed)

    async def _ask_one(self, room: Room, session: OccupantSession) -> None:
        try:
            answer = await self.ping(session.jid, room.jid)
        finally:
            self._asking.discard(room.jid.full)
        if room.sessions.get(session.jid.full) is not session:
            return
        if answer is not None and not _is_lost(answer, _UNASKED):
            session.heard, session.unanswered = self.hall.clocks.seconds(), 0
            return
        session.unanswered += 1
        if answer is not None or session.unanswered >= MAX_UNANSWERED:
            self.leave(room, session)
            self._settle(room)

    def stop(self) -> None:
        """Wait for nobody any more."""
        if self._giving_up is not None:
            self._giving_up.cancel()


def _is_lost(error: Stanza, conditions: frozenset[str]) -> bool:
    found = error.payload.tree.find("error")
    return found is not None and not conditions.isdisjoint(each.tag for each in found)


def _failed(failure: Failure) -> None:
    _log.failure("checking an absent occupant failed", failure)


__all__ = ["AbsentOccupants"]
