"""NoForgedNotices: only the server says that a book was signed."""

from typing import TypeVar

from xmppd.session.interceptor_manager import PacketInterceptor
from xmppd.stanza import JID, Condition, Message, Stanza, StanzaError, qname

from .book import NS

S = TypeVar("S", bound=Stanza)
_SIGNED = qname(NS, "signed")


class NoForgedNotices(PacketInterceptor):
    """Refuses messages of clients that look like the notice of an entry."""

    incoming_kinds = (Message,)

    def incoming(self, stanza: S, session: JID) -> S | None:
        if NS.encode() in stanza.payload.raw and stanza.payload.tree.find(_SIGNED) is not None:
            raise StanzaError(Condition.FORBIDDEN, "the server says when a guestbook was signed")
        return stanza


__all__ = ["NoForgedNotices"]
