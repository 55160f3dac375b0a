"""EndedSessions: why sessions have ended, for an hour after."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from xmppd.session.session_manager import SessionClosed

KEPT_S = 3_600.0

MAX_ENDED = 10_000
"""Of more, those that ended first are forgotten."""


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that has ended.

    Attributes:
        jid: Its full JID.
        at: The moment of its end, on the steady clock.
        since: When it began, in seconds since 1970.
        address: The last IP address of its client.
        software: What its client called itself; empty if it did not say.
        why: The reason, as a part of a sentence.
    """

    jid: str
    at: float
    since: float
    address: str
    software: str
    why: str


class EndedSessions:
    """Those of the last hour, as long as there are not too many.

    Args:
        seconds: The steady clock.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._ended: deque[EndedSession] = deque(maxlen=MAX_ENDED)

    def closed(self, event: SessionClosed) -> None:
        """Note that a session has ended, or goes on elsewhere."""
        session, wire = event.session, event.session.connection
        why = wire.why or "the server ended it"
        if event.moved_to is not None:
            why = f"the session moved to node {event.moved_to.name}"
        self._ended.append(
            EndedSession(
                session.jid.full, self._seconds(), session.since, wire.address, session.agent, why
            )
        )

    def of(self, address: str) -> list[EndedSession]:
        """Those of a full JID, or of all sessions of a bare one; the oldest first."""
        now, whole = self._seconds(), f"{address}/"
        while self._ended and now - self._ended[0].at > KEPT_S:
            self._ended.popleft()
        return [each for each in self._ended if each.jid == address or each.jid.startswith(whole)]


__all__ = ["KEPT_S", "MAX_ENDED", "EndedSession", "EndedSessions"]
