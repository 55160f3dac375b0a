"""IQPreauthHandler: a client without an account shows the token of an invitation (:xep:`0445`)."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler
from xmppd.stanza import IQ, Condition, StanzaError, qname
from xmppd_plugins.register.iq import client

from .invitations import Invitations

PARS = "urn:xmpp:pars:0"
FEATURE = b"<register xmlns='urn:xmpp:ibr-token:0'/>"
PREAUTH = qname(PARS, "preauth")


@dataclass(frozen=True)
class IQPreauthHandler(IQHandler):
    """Let a client register that has a token.

    Attributes:
        invitations: All of them.
        tls_required: Whether registering needs TLS.
    """

    invitations: Invitations
    tls_required: bool

    query = PREAUTH
    before_bind = True

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Take the token; registering comes next, by :xep:`0077`."""
        session = client(asked)
        if session.account is not None:
            raise StanzaError(Condition.UNEXPECTED_REQUEST, "you already have an account")
        if self.tls_required and not session.connection.encrypted:
            raise StanzaError(Condition.NOT_AUTHORIZED, "start TLS first")
        await self.invitations.show(session, iq.payload.tree[0].get("token", ""))


__all__ = ["FEATURE", "PARS", "PREAUTH", "IQPreauthHandler"]
