"""Resource binding: a session gets its full JID (:rfc:`6120#section-7`)."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import IQHandler
from xmppd.privacy.privacy_list_manager import PrivacyListManager
from xmppd.roster.roster_manager import RosterManager
from xmppd.session.session_manager import SessionManager
from xmppd.stanza import IQ, Condition, StanzaError, ns, qname


@dataclass(frozen=True)
class IQBindHandler(IQHandler):
    """Bind the resource that the client asks for, or one of our choice (BI-1 to BI-6)."""

    sessions: SessionManager
    rosters: RosterManager
    privacy_lists: PrivacyListManager

    query = qname(ns.BIND, "bind")
    before_bind = True

    async def on_set(self, iq: IQ) -> IQ:
        """Bind, and have the account's roster and lists at hand: whoever is online has them in
        memory.

        The session has another address now, and that is where the answer goes (BI-6).
        """
        session = self.sessions.session(iq.sender)
        if session is None or session.account is None:
            raise StanzaError(Condition.NOT_AUTHORIZED)
        await self.rosters.roster(session.account)
        if self.privacy_lists.loaded(session.account.bare) is None:
            await self.privacy_lists.lists(session.account)
        session.privacy = self.privacy_lists.in_force(session.account)
        resource = iq.payload.tree[0].findtext(qname(ns.BIND, "resource"))
        jid = self.sessions.bind(session, resource)
        bound = b"<bind xmlns='%b'><jid>%b</jid></bind>" % (ns.BIND.encode(), jid.wire)
        return iq.with_sender(jid).result(bound)


@dataclass(frozen=True)
class IQSessionHandler(IQHandler):
    """Legacy session establishment, which means nothing any more (:rfc:`3921#section-3`)."""

    query = qname(ns.SESSION, "session")

    def on_set(self, iq: IQ) -> None:
        """Yes; but it is no question for somebody else's account.

        Raises:
            StanzaError: SERVICE_UNAVAILABLE: as any account answers it, and none.
        """
        if iq.to is not None and iq.to.local is not None and iq.to.bare != iq.sender.bare:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE)
