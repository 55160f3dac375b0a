"""SessionEnd: the end of a session, with its connection or detached for too long."""

from twisted.internet.defer import Deferred

from xmppd.router.packet_router import PacketRouter
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import Presence


class SessionEnd:
    """Sends "unavailable" for a session, forgets it, and routes its unread stanzas again."""

    def __init__(self, router: PacketRouter, sessions: SessionManager) -> None:
        self.router = router
        self.sessions = sessions

    def close(self, session: LocalClientSession) -> None:
        """Close a session, once (SM-5, SM-6, SM-8, SE-12)."""
        if session.id not in self.sessions.sessions:
            return
        session.closed = True
        if session.bound:
            gone = Presence.make(None, session.jid, type="unavailable")
            later = self.router.route(gone)
            if later is not None:
                Deferred.fromCoroutine(later)  # the result of a router never fails
        stood = session.stood()
        self.sessions.close(session)
        session.end_pulls()
        unread = session.take_unread()
        if unread:
            self.router.take_back(unread, session.jid, stood)
