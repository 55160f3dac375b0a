"""Sessions of clients connected here: opened, bound, counted, closed."""

from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex, token_urlsafe
from typing import Protocol

from twisted.logger import Logger

from xmppd.cluster.node import NodeId
from xmppd.config.config import SessionSettings
from xmppd.events import Events
from xmppd.session.interceptor_manager import InterceptorManager
from xmppd.session.local_client_session import LocalClientSession, longest_detached
from xmppd.session.session import Connection, Session
from xmppd.stanza import JID, Condition, StanzaError, StreamCondition, StreamError
from xmppd.stanza.phrases import counted

REPLACED = StreamError(StreamCondition.CONFLICT, "another session took this resource")
MAX_KEPT = 200  # characters of a resource that is renamed: an addition has room
_log = Logger()


@dataclass(frozen=True, slots=True)
class SessionBound:
    """A client bound a resource."""

    session: LocalClientSession


@dataclass(frozen=True, slots=True)
class SessionMoved:
    """A session that was at another node is at this one from now on."""

    session: LocalClientSession


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """A session that was bound is gone.

    Attributes:
        session: The session.
        moved_to: The node of the service on which it goes on (CL-100): what is kept of it here is
            to be forgotten, and nobody told. None if it has ended.
    """

    session: LocalClientSession
    moved_to: NodeId | None = None


class Routes(Protocol):
    """The part of the RoutingTable that a SessionManager needs."""

    bound: dict[str, Session]
    unbound: dict[str, Session]

    def add(self, session: Session) -> None:
        """Make a session reachable under its JID; one without a resource, for answers only."""

    def remove(self, session: Session) -> bool:
        """Forget a session, by identity; returns whether it was here."""

    def refresh(self, session: Session) -> None:
        """Note that the session became available or unavailable."""

    def sessions_here(self, bare: str) -> tuple[LocalClientSession, ...]:
        """All sessions of an account that are connected here."""


class SessionManager:
    """The sessions of clients that are connected here, or detached.

    Attributes:
        sessions: By the id of their stream, from its first header on.
        bound: The number of them that have a resource.
    """

    def __init__(
        self,
        routes: Routes,
        interceptors: InterceptorManager,
        events: Events,
        wall_clock: Callable[[], float],
        settings: SessionSettings,
    ) -> None:
        self.routes = routes
        self.interceptors = interceptors
        self.events = events
        self.wall_clock = wall_clock
        self.settings = settings
        self.sessions: dict[str, LocalClientSession] = {}
        self.bound = 0

    def open(self, connection: Connection, domain: str) -> LocalClientSession:
        """A session for a new stream, which can be answered at once."""
        stream_id = token_hex(8)
        jid = JID.of_stream(domain, stream_id)
        session = LocalClientSession(
            stream_id, jid, connection, self.interceptors, self.wall_clock()
        )
        self.sessions[stream_id] = session
        self.routes.add(session)
        return session

    def move(self, session: LocalClientSession, domain: str) -> None:
        """Give a session the domain to which its client has opened the stream."""
        self.routes.remove(session)
        session.jid = JID.of_stream(domain, session.id)
        self.routes.add(session)

    def session(self, jid: JID) -> LocalClientSession | None:
        """The session of this full JID, or of this stream without a resource, if it is here."""
        found = self.routes.bound.get(jid.full) or self.routes.unbound.get(jid.full)
        return found if isinstance(found, LocalClientSession) else None

    def local_sessions(self, bare: str) -> tuple[LocalClientSession, ...]:
        """The account's sessions that are here."""
        return self.routes.sessions_here(bare)

    def bind(self, session: LocalClientSession, wanted: JID) -> JID:
        """Give the session its full JID and make it reachable.

        Args:
            session: Authenticated, not yet bound.
            wanted: The full JID that its client asked for.

        Returns:
            The full JID, now in the RoutingTable.

        Raises:
            StanzaError: NOT_AUTHORIZED if its connection is gone; RESOURCE_CONSTRAINT if the
                account has as many as it may; CONFLICT if another session holds it and keeps it.
                If that has come later than this one, to the directory of nodes, the connection is
                closed.

        Spec: :rfc:`6120#section-7`
        """
        if session.closed:
            raise StanzaError(Condition.NOT_AUTHORIZED)
        jid = self._free(wanted, session)
        most = self.settings.max_per_account
        if len(self.routes.sessions_here(jid.bare)) >= most and not self._made_room(jid.bare):
            raise too_many(most)
        self.routes.remove(session)
        session.jid = jid
        session.bound = True
        self.bound += 1
        self.routes.add(session)
        _log.info("{id} bound {jid}", id=session.id, jid=jid.full)
        self.events.fire(SessionBound(session))
        return jid

    def _made_room(self, bare: str) -> bool:
        """End the oldest detached session of the account; returns whether there was one (RS-8)."""
        longest = longest_detached(self.local_sessions(bare))
        if longest is not None:
            longest.connection.close()
        return longest is not None

    def _free(self, jid: JID, session: LocalClientSession) -> JID:
        """The JID, which no session holds any more, or another one, as the conflict policy says
        (BI-5). A session that the directory knows to be replaced has no say, and is none if it has
        been so long about it that the other one is there already (CL-21).
        """
        holder = self.routes.bound.get(jid.full)
        if holder is None:
            return jid
        is_here = isinstance(holder, LocalClientSession)
        if is_here and holder.serial >= session.serial and self.settings.conflict == "rename":
            return renamed(jid)
        if is_here and holder.serial >= session.serial and self.settings.conflict == "refuse":
            raise taken()
        if holder.serial > session.serial:
            session.connection.close(REPLACED)
            raise StanzaError(Condition.NOT_AUTHORIZED)
        if isinstance(holder, LocalClientSession):
            holder.connection.close(REPLACED)
        else:
            self.routes.remove(holder)
        return jid

    def close_left_behind(
        self, bare: str, device: str, newer: LocalClientSession | None = None
    ) -> None:
        """Close the sessions of an account that a client has left behind, whatever their resource
        (LI-5).
        """
        for other in tuple(self.local_sessions(bare)):
            if other is not newer and other.device == device:
                other.connection.close(
                    StreamError(StreamCondition.CONFLICT, "this client has logged in again")
                )

    def restore(self, session: LocalClientSession) -> None:
        """Restore a session of before the server was started; no contact is told (RS-9)."""
        self.sessions[session.id] = session
        self.bound += 1
        self.routes.add(session)
        self.routes.refresh(session)

    def close(self, session: LocalClientSession, moved_to: NodeId | None = None) -> None:
        """Forget a session that has ended (SM-6), whose unavailable presence has been routed; or
        one that goes on at another node.
        """
        if self.sessions.pop(session.id, None) is None:
            return
        self.routes.remove(session)
        if session.bound:
            self.bound -= 1
            self.events.fire(SessionClosed(session, moved_to))

    def close_all(
        self, bare: str, error: StreamError, *, spare: LocalClientSession | None = None
    ) -> int:
        """Close the streams of an account, all but one, for a reason; returns their number."""
        ended = tuple(
            session
            for session in self.sessions.values()
            if session.account and session.account.bare == bare and session is not spare
        )
        for session in ended:
            session.connection.close(error)
        return len(ended)


def wanted(session: LocalClientSession, resource: str | None) -> JID:
    """The full JID that a client asks for.

    Args:
        session: That is to be bound.
        resource: Not yet prepared; None to choose one for it.

    Raises:
        StanzaError: NOT_AUTHORIZED: the session has no account, or its connection is gone;
            NOT_ALLOWED: it is bound already; BAD_REQUEST: the resource cannot be prepared.
    """
    if session.account is None or session.closed:
        raise StanzaError(Condition.NOT_AUTHORIZED)
    if session.bound:
        raise StanzaError(Condition.NOT_ALLOWED, "a resource is bound already")
    if not resource:
        return session.account.with_resource(token_urlsafe(9))
    try:
        return session.account.with_resource(resource)
    except ValueError as error:
        raise StanzaError(Condition.BAD_REQUEST, str(error)) from error


def renamed(jid: JID) -> JID:
    """Another full JID of the account, in place of one that is taken."""
    return jid.with_resource(f"{(jid.resource or '')[:MAX_KEPT]}-{token_urlsafe(6)}")


def taken() -> StanzaError:
    """The error for a client whose resource is another's."""
    return StanzaError(Condition.CONFLICT, "another session holds this resource")


def too_many(most: int) -> StanzaError:
    """The error for a client whose account has as many sessions as it may."""
    return StanzaError(
        Condition.RESOURCE_CONSTRAINT,
        f"this account has {counted(most, 'session')}; close one first",
    )
