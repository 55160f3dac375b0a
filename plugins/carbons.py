"""XEP-0280: Message Carbons. Each of my devices sees what the others send and get.

Here a client turns it on and off; what is copied is the business of
:class:`~xmppd.router.carbons.Carbons`.
"""

from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler
from xmppd.plugin.place import Part
from xmppd.router.carbons import Carbons
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import IQ, Condition, StanzaError, Tree, qname
from xmppd.stanza.carbon import CARBONS
from xmppd.stream.inline_feature import bind_feature
from xmppd.stream.stream_feature import Negotiation

RULES = "urn:xmpp:carbons:rules:0"


@dataclass(frozen=True)
class IQEnableHandler(IQHandler):
    """Turn carbons on for the session that asks (§4); again and again does no harm (§10.1)."""

    sessions: SessionManager
    carbons: Carbons

    query = qname(CARBONS, "enable")
    features = (CARBONS, RULES)

    def on_set(self, iq: IQ) -> None:
        self.carbons.enable(own_session(self.sessions, iq))


@dataclass(frozen=True)
class IQDisableHandler(IQHandler):
    """Turn carbons off (§5)."""

    sessions: SessionManager
    carbons: Carbons

    query = qname(CARBONS, "disable")

    def on_set(self, iq: IQ) -> None:
        self.carbons.disable(own_session(self.sessions, iq))


def own_session(sessions: SessionManager, iq: IQ) -> LocalClientSession:
    """The session that asks for itself.

    Raises:
        StanzaError: NOT_ALLOWED: it asks for somebody else, or is no session here.
    """
    session = sessions.session(iq.sender)
    if session is None or (iq.to is not None and iq.to.local and iq.to.bare != iq.sender.bare):
        raise StanzaError(Condition.NOT_ALLOWED, "carbons are for the resources of one account")
    return session


def plug(sessions: SessionManager, carbons: Carbons) -> list[Part]:
    """What this feature is made of."""

    def enable(negotiation: Negotiation, element: Tree) -> bytes:
        carbons.enable(negotiation.session)
        return b""

    return [
        IQEnableHandler(sessions, carbons),
        IQDisableHandler(sessions, carbons),
        bind_feature(CARBONS, (qname(CARBONS, "enable"), enable)),
    ]
