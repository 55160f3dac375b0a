"""Resource binding: a session gets its full JID (:rfc:`6120#section-7`)."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.presence.binding import Binding
from xmppd.stanza import IQ, Condition, StanzaError, ns, qname

_RESOURCE = qname(ns.BIND, "resource")


@dataclass(frozen=True)
class IQBindHandler(IQHandler):
    """Bind the resource that the client asks for, or one of our choice (BI-1 to BI-6)."""

    binding: Binding

    query = qname(ns.BIND, "bind")
    to = To.SERVER | To.OWN_ACCOUNT
    refusal = Condition.NOT_ALLOWED
    before_bind = True

    async def on_set(self, iq: IQ, asked: Asked) -> IQ:
        """Bind a resource; the answer goes to the session's new address (BI-6)."""
        session = asked.asker
        if session is None:
            raise StanzaError(Condition.NOT_AUTHORIZED)
        jid = await self.binding.bind(session, iq.payload.tree[0].findtext(_RESOURCE))
        bound = b"<bind xmlns='%b'><jid>%b</jid></bind>" % (ns.BIND.encode(), jid.wire)
        return iq.with_sender(jid).result(bound)


@dataclass(frozen=True)
class IQSessionHandler(IQHandler):
    """Legacy session establishment, which means nothing any more (:rfc:`3921#section-3`)."""

    query = qname(ns.SESSION, "session")
    to = To.SERVER | To.OWN_ACCOUNT

    def on_set(self, iq: IQ, asked: Asked) -> None:
        """Return an empty result."""
