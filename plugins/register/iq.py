"""IQRegisterHandler: clients make accounts, and owners change their password or end theirs."""

from dataclasses import dataclass

from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, Tree, child, element, qname
from xmppd.store.accounts import NoSuchAccount
from xmppd.stream.stream_feature import Negotiation

from .registration import SelfRegistration, Voucher, closed

NS = "jabber:iq:register"
FEATURE = b"<register xmlns='http://jabber.org/features/iq-register'/>"


@dataclass(eq=False)
class IQRegisterHandler(IQHandler):
    """Answer unauthenticated clients about registering, and owners about their account.

    Attributes:
        registration: Makes accounts.
        tls_required: Whether registering needs TLS.
    """

    registration: SelfRegistration
    tls_required: bool

    query = qname(NS, "query")
    to = To.SERVER | To.OWN_ACCOUNT
    features = (NS,)
    before_bind = True

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The stream feature, while there are people who may register (§8)."""
        kept = self.registration.passwords.are_kept(negotiation.domain)
        return FEATURE if kept and self.registration.possible else b""

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        """The form to fill in; or that the account is registered already (§3.1)."""
        session = client(asked)
        form = element(NS, "query")
        if session.account is None:
            voucher = self._voucher(session)
            child(form, "instructions", "Choose a name and a password for your account.")
            child(form, "username", (voucher and voucher.name) or None)
        else:
            child(form, "instructions", "You are registered. Enter a password to change yours.")
            child(form, "registered")
            child(form, "username", session.account.local)
        child(form, "password")
        return form

    async def on_set(self, iq: IQ, asked: Asked) -> None:
        """Make an account; or change one's password, or end one's account."""
        session = client(asked)
        fields = iq.payload.tree[0]
        removes = fields.find(qname(NS, "remove")) is not None
        if session.account is None:
            if removes:
                raise StanzaError(Condition.UNEXPECTED_REQUEST, "log in first")
            await self._register(session, fields)
        elif removes:
            await self._remove(session.account, iq, fields)
        else:
            await self._change_password(session.account, session, fields)

    # -- registering ----------------------------------------------------------------------------

    def _voucher(self, session: LocalClientSession) -> Voucher | None:
        """What lets a client in; None where everybody may come.

        Raises:
            StanzaError: Nothing does.
        """
        self.registration.check_kept(session.jid.domain)
        gate = self.registration.gate
        voucher = None if gate is None else gate.voucher(session)
        if voucher is None and not self.registration.settings.open:
            raise closed()
        if self.tls_required and not session.connection.encrypted:
            raise StanzaError(Condition.NOT_AUTHORIZED, "start TLS first")
        return voucher

    async def _register(self, session: LocalClientSession, fields: Tree) -> None:
        voucher = self._voucher(session)
        name, password = field(fields, "username"), field(fields, "password")
        if not name or not password:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "a name and a password are required")
        account = account_of(name, session.jid.domain)
        address = session.connection.address
        await self.registration.create(account, password, address, voucher)

    # -- owners ---------------------------------------------------------------------------------

    async def _change_password(
        self, account: JID, session: LocalClientSession, fields: Tree
    ) -> None:
        if not self.registration.settings.change_password:
            raise StanzaError(Condition.NOT_ALLOWED, "you cannot change your password here")
        name, password = field(fields, "username"), field(fields, "password")
        if not name or not password:
            raise StanzaError(Condition.BAD_REQUEST, "a name and a password are required")
        if account_of(name, account.domain) != account:
            raise StanzaError(Condition.FORBIDDEN, "this is not your user name")
        self.registration.check_password(password)
        try:
            await self.registration.accounts.set_password(
                account, password, spare=session, address=session.connection.address
            )
        except NoSuchAccount as error:
            raise StanzaError(Condition.REGISTRATION_REQUIRED) from error
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error

    async def _remove(self, account: JID, iq: IQ, fields: Tree) -> None:
        """End the account (§3.2); the answer leaves before the stream is closed."""
        if len(fields) != 1:
            raise StanzaError(Condition.BAD_REQUEST, "remove must be alone in the request")
        if not self.registration.settings.remove_account:
            raise StanzaError(Condition.NOT_ALLOWED, "you cannot remove your account here")
        try:
            await self.registration.accounts.remove(account, request=iq)
        except NoSuchAccount as error:  # another stream of the account was quicker
            raise StanzaError(Condition.REGISTRATION_REQUIRED) from error


def client(asked: Asked) -> LocalClientSession:
    """The session of the client that asks, at the domain to which it opened its stream.

    Raises:
        StanzaError: SERVICE_UNAVAILABLE: somebody else asks, or at another domain of ours.
    """
    session = asked.asker
    if session is None or session.jid.domain != asked.address.domain:
        raise StanzaError(Condition.SERVICE_UNAVAILABLE)
    return session


def field(fields: Tree, name: str) -> str:
    """The text of a field; empty if it is not there.

    Raises:
        StanzaError: It is there twice.
    """
    found = [tree.text or "" for tree in fields.iterfind(qname(NS, name))]
    if len(found) > 1:
        raise StanzaError(Condition.BAD_REQUEST, f"field {name} appears twice")
    return found[0] if found else ""


def account_of(name: str, domain: str) -> JID:
    """The account of a name.

    Raises:
        StanzaError: It cannot be one.
    """
    try:
        return JID.of(name, domain)
    except ValueError as error:
        raise StanzaError(Condition.JID_MALFORMED, str(error)) from error


__all__ = ["FEATURE", "NS", "IQRegisterHandler", "account_of", "client"]
