"""XEP-0186: Invisible Command. A session may be here, and be seen by nobody it does not tell.

The specification is deferred, not withdrawn; nothing else lets a client be invisible without
privacy lists.
"""

from collections.abc import Awaitable
from dataclasses import dataclass

from xmppd.events import Events
from xmppd.handler.iq_handler import IQHandler
from xmppd.handler.presence_update_handler import SessionUnavailable
from xmppd.plugin.place import Part
from xmppd.presence.privacy_changes import PrivacyChanges
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import IQ, Condition, StanzaError, qname

NS = "urn:xmpp:invisible:1"
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True)
class IQInvisibleHandler(IQHandler):
    """Make a session invisible (§3.1)."""

    sessions: SessionManager
    privacy_changes: PrivacyChanges

    query = qname(NS, "invisible")
    features = (NS,)

    def on_set(self, iq: IQ) -> Awaitable[None]:
        session = own_session(self.sessions, iq)
        probe = iq.payload.tree[0].get("probe", "false")
        if probe not in BOOLEANS:
            raise StanzaError(Condition.BAD_REQUEST, "probe is true or false")
        return self.privacy_changes.hide(session, probes=BOOLEANS[probe])


@dataclass(frozen=True)
class IQVisibleHandler(IQHandler):
    """Make a session visible: as one that has not sent presence yet (§3.2)."""

    sessions: SessionManager
    privacy_changes: PrivacyChanges
    events: Events

    query = qname(NS, "visible")

    async def on_set(self, iq: IQ) -> None:
        session = own_session(self.sessions, iq)
        if await self.privacy_changes.show(session):
            self.events.fire(SessionUnavailable(session))


def own_session(sessions: SessionManager, iq: IQ) -> LocalClientSession:
    """The session that asks for itself.

    Raises:
        StanzaError: FORBIDDEN: it asks for somebody else; NOT_ALLOWED: it is no session here.
    """
    if iq.to is not None and iq.to.bare != iq.sender.bare:
        raise StanzaError(Condition.FORBIDDEN, "nobody makes others invisible")
    session = sessions.session(iq.sender)
    if session is None:
        raise StanzaError(Condition.NOT_ALLOWED)
    return session


def plug(sessions: SessionManager, privacy_changes: PrivacyChanges, events: Events) -> list[Part]:
    """What this feature is made of."""
    return [
        IQInvisibleHandler(sessions, privacy_changes),
        IQVisibleHandler(sessions, privacy_changes, events),
    ]
