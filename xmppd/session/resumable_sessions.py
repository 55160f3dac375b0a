"""ResumableSessions: found again by an id that only their client knows."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from secrets import token_urlsafe

from twisted.logger import Logger

from xmppd.config.config import StreamManagementSettings
from xmppd.events import Events
from xmppd.host.clocks import Clocks
from xmppd.session.detached import Detached
from xmppd.session.local_client_session import LocalClientSession, longest_detached
from xmppd.session.session import Connection
from xmppd.session.session_manager import SessionClosed, SessionManager
from xmppd.session.stream_management import StreamManagement
from xmppd.stanza import JID, Stanza, StreamCondition, StreamError

ID_BYTES = 24
MAX_REMEMBERED = 10_000
"""Sessions that ended lately, of which the number of handled stanzas is still known."""

LOST = "the connection was lost"
RESTARTED = "the node stopped or handed the session over, and the client did not resume"

_log = Logger()


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """A session has another connection."""

    session: LocalClientSession


@dataclass(frozen=True, slots=True)
class SessionDetached:
    """A session has lost its connection, and its client may come back to it; it may do so in this
    very turn.
    """

    session: LocalClientSession


@dataclass(frozen=True, slots=True)
class StanzaWaits:
    """A stanza waits for a session that is detached.

    Attributes:
        session: Its addressee.
        stanza: It may be a broadcast presence, or a copy.
    """

    session: LocalClientSession
    stanza: Stanza


class ResumableSessions:
    """All sessions that can be resumed, with a connection or without (RS-4 to RS-8).

    Only the hash of an id is kept, so that a copy of our memory or our backups resumes nothing.

    Args:
        limits: Of detached sessions.
        sessions: All sessions.
        clocks: Tell the time.
        close: Closes a session that nobody has come back for.
        events: Those who want to know that a session is detached, and what waits for it.

    Attributes:
        place: Tells the store the positions of messages in the queue of a session that can be
            resumed.
    """

    def __init__(
        self,
        settings: StreamManagementSettings,
        sessions: SessionManager,
        clocks: Clocks,
        close: Callable[[LocalClientSession], None],
        events: Events,
    ) -> None:
        self.settings = settings
        self.sessions = sessions
        self.clocks = clocks
        self._close = close
        self._events = events
        self.place: Callable[[LocalClientSession], None] = _nowhere
        self._managed: dict[str, LocalClientSession] = {}
        self._by_key: dict[bytes, LocalClientSession] = {}
        self._detached: dict[LocalClientSession, float] = {}
        self._handled: OrderedDict[bytes, tuple[str, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._detached)

    def manage(self, session: LocalClientSession, max_s: float | None) -> str:
        """Count and keep the stanzas that the session is sent from now on.

        Args:
            session: Bound.
            max_s: The time it asks to stay when detached; None if it is not to be resumed.

        Returns:
            The id by which its client may resume it; empty if it may not.
        """
        if max_s is None:
            self._manage(session, StreamManagement(self.settings, self.clocks.seconds))
            return ""
        id = token_urlsafe(ID_BYTES)
        key = key_of(id)
        self._by_key[key] = session
        stays_s = min(max_s, self.settings.resume_s)
        self._manage(
            session,
            StreamManagement(self.settings, self.clocks.seconds, key=key, max_s=stays_s),
        )
        return id

    def _manage(self, session: LocalClientSession, management: StreamManagement) -> None:
        session.management = management
        management.place = partial(self.place, session)
        management.waits = partial(self._waits, session)
        self._managed[session.id] = session

    def _waits(self, session: LocalClientSession, stanza: Stanza) -> None:
        self._events.fire(StanzaWaits(session, stanza))

    def find(self, id: str, account: JID) -> LocalClientSession | None:
        """The session of this id, if it is the account's own (RS-6)."""
        return self.find_by_key(key_of(id), account)

    def find_by_key(self, key: bytes, account: JID) -> LocalClientSession | None:
        """The same, by the key of the session."""
        session = self._by_key.get(key)
        return session if session is not None and session.jid.bare == account.bare else None

    def handled(self, id: str, account: JID) -> int | None:
        """The number of stanzas that were handled of a session of the account that ended lately."""
        return self.handled_by_key(key_of(id), account)

    def handled_by_key(self, key: bytes, account: JID) -> int | None:
        """The same, by the key of the session."""
        bare, handled = self._handled.get(key, ("", 0))
        return handled if bare == account.bare else None

    # -- detached, and resumed --------------------------------------------------------------------

    def detach(self, session: LocalClientSession) -> None:
        """Keep a session that has lost its connection for the time agreed on."""
        management = session.management
        if management is None or management.key is None:
            return
        last = session.connection
        why = f"{last.why or LOST} and the client did not resume"
        self._detach(session, last.address, last.encrypted, management.max_s, why)
        _log.info(
            "{id} {jid} lost its connection, and may resume", id=session.id, jid=session.jid.full
        )
        theirs = [each for each in self.sessions.local_sessions(session.jid.bare) if each.detached]
        longest = longest_detached(theirs)
        if longest is not None and len(theirs) > self.settings.max_detached_per_account:
            self._close(longest)
        self._events.fire(SessionDetached(session))

    def restore(
        self,
        session: LocalClientSession,
        management: StreamManagement,
        address: str,
        *,
        encrypted: bool,
        left_s: float,
    ) -> None:
        """Keep a session of before a restart for the time that is left."""
        self._manage(session, management)
        if management.key is not None:
            self._by_key[management.key] = session
        self._detach(session, address, encrypted, left_s, RESTARTED)

    def _detach(
        self, session: LocalClientSession, address: str, encrypted: bool, left_s: float, why: str
    ) -> None:
        now = self.clocks.seconds()
        self._detached[session] = now + left_s
        max_bytes = self.settings.max_unacked_bytes
        close = partial(self._close, session)
        detached = Detached(
            address, max_bytes, now, self.clocks.seconds, close, encrypted=encrypted
        )
        detached.why = why
        session.detach(detached)

    def resumable(self) -> list[LocalClientSession]:
        """The sessions that may be resumed."""
        return list(self._by_key.values())

    async def at_rest(self) -> None:
        """Wait until no stanza is being handled that a session counts when it is done."""
        for session in self.resumable():
            while session.management is not None and session.management.work is not None:
                await session.management.work

    def left_s(self, session: LocalClientSession) -> float:
        """The seconds for which a session may still be resumed."""
        return self._detached[session] - self.clocks.seconds()

    def replace(self, session: LocalClientSession) -> None:
        """Take a session from a connection that seems alive; no contact is told."""
        wire = session.connection
        self.detach(session)
        wire.close(StreamError(StreamCondition.CONFLICT, "the session continues elsewhere"))

    def withhold(self, session: LocalClientSession) -> None:
        """Let nobody find a detached session, since it is about to be at another node (CL-100)."""
        if session.management is not None and session.management.key is not None:
            del self._by_key[session.management.key]
            session.moving = True

    def release(self, session: LocalClientSession) -> None:
        """Let it be found again, since it is not."""
        if session.management is not None and session.management.key is not None:
            self._by_key[session.management.key] = session
            session.moving = False

    def resume(self, session: LocalClientSession, connection: Connection) -> None:
        """Note that a session has another connection."""
        del self._detached[session]
        session.resume(connection, self.clocks.stamp)
        _log.info("{id} {jid} was resumed", id=session.id, jid=session.jid.full)

    def closed(self, event: SessionClosed) -> None:
        """Forget a session that has ended; its client may still learn how much was handled."""
        session = event.session
        management = session.management
        if management is None:
            return
        del self._managed[session.id]
        self._detached.pop(session, None)
        if isinstance(session.connection, Detached):
            session.connection.forget()
        management.place = management.waits = None
        if management.key is None:
            return
        if self._by_key.get(management.key) is session:
            del self._by_key[management.key]
        if event.moved_to is None:
            self._handled[management.key] = session.jid.bare, management.handled
            if len(self._handled) > MAX_REMEMBERED:
                self._handled.popitem(last=False)

    def sweep(self) -> None:
        """End sessions that were detached too long; ask for acknowledgements that are late."""
        now = self.clocks.seconds()
        for session, until in tuple(self._detached.items()):
            if now >= until:
                self._close(session)
        for session in tuple(self._managed.values()):
            management = session.management
            if management is None or session.detached or session.inactive:
                continue  # an inactive client is not asked for that
            if management.is_late(now):
                session.connection.write(management.request())


def _nowhere(session: LocalClientSession) -> None:
    """Do nothing, since nothing is in a store."""


def key_of(id: str) -> bytes:
    """The key of a session, made from its id."""
    return sha256(id.encode()).digest()
