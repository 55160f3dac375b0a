"""XEP-0077: In-Band Registration. Clients make accounts, and owners end theirs."""

from collections.abc import Callable
from dataclasses import dataclass

from xmppd.account.accounts import Accounts
from xmppd.auth.attempts import network_of
from xmppd.auth.keys import prepare_password
from xmppd.auth.provider import Passwords
from xmppd.config.config import RegistrationSettings, TLSSettings
from xmppd.config.settings import Settings
from xmppd.handler.iq_handler import Asked, IQHandler, To
from xmppd.host.clocks import Clocks
from xmppd.plugin.place import Part
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import IQ, JID, Condition, Element, StanzaError, Tree, child, element, qname
from xmppd.store.accounts import AccountExists, NoSuchAccount
from xmppd.store.errors import StoreError
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

NS = "jabber:iq:register"
FEATURE = b"<register xmlns='http://jabber.org/features/iq-register'/>"
HOUR_S = 3_600.0
MAX_REMEMBERED_ADDRESSES = 10_000
TAKEN_NAMES_PER_ACCOUNT = 10
"""Taken names that may be asked for, for each account that may be made."""


class HourlyLimit:
    """Counts of what was done from each address within the last hour. When there are too many
    addresses, the one that was counted longest ago is forgotten.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._counted: dict[str, list[float]] = {}

    def __len__(self) -> int:
        return len(self._counted)

    def reached(self, address: str, limit: int) -> bool:
        """Whether the limit is reached."""
        return len(self._recent(network_of(address))) >= limit

    def count(self, address: str) -> None:
        """Count once more."""
        network = network_of(address)
        times = self._recent(network)
        self._counted.pop(network, None)
        if len(self._counted) >= MAX_REMEMBERED_ADDRESSES:
            del self._counted[next(iter(self._counted))]
        self._counted[network] = [*times, self._seconds()]

    def uncount(self, address: str) -> None:
        """Count once less, since it was not done after all."""
        times = self._counted.get(network_of(address))
        if times:
            times.pop()

    def _recent(self, network: str) -> list[float]:
        since = self._seconds() - HOUR_S
        return [time for time in self._counted.get(network, ()) if time > since]


@dataclass(eq=False)
class IQRegisterHandler(IQHandler):
    """Answer unauthenticated clients about registering, and owners about their account.

    Attributes:
        accounts: Changes passwords, and removes accounts.
        passwords: Makes accounts.
        settings: Of registration.
        tls_required: Whether registering needs TLS.
        made: Accounts made from each address.
        taken: Taken names asked for from each address.
    """

    accounts: Accounts
    passwords: Passwords
    settings: RegistrationSettings
    tls_required: bool
    made: HourlyLimit
    taken: HourlyLimit

    query = qname(NS, "query")
    to = To.SERVER | To.OWN_ACCOUNT
    features = (NS,)
    before_bind = True

    def use(self, settings: RegistrationSettings) -> None:
        """Take other settings."""
        self.settings = settings

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The stream feature, while registering is allowed (§8)."""
        return FEATURE if self.settings.open else b""

    def on_get(self, iq: IQ, asked: Asked) -> Element:
        """The form to fill in; or that the account is registered already (§3.1)."""
        session = client(asked)
        form = element(NS, "query")
        if session.account is None:
            self._check_open(session)
            child(form, "instructions", "Choose a name and a password for your account.")
            child(form, "username")
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

    def _check_open(self, session: LocalClientSession) -> None:
        if not self.settings.open:
            raise StanzaError(Condition.SERVICE_UNAVAILABLE, "registration is closed")
        if self.tls_required and not session.connection.encrypted:
            raise StanzaError(Condition.NOT_AUTHORIZED, "start TLS first")

    async def _register(self, session: LocalClientSession, fields: Tree) -> None:
        self._check_open(session)
        name, password = field(fields, "username"), field(fields, "password")
        if not name or not password:
            raise StanzaError(Condition.NOT_ACCEPTABLE, "a name and a password are required")
        account = account_of(name, session.jid.domain)
        self._check_password(password)
        address = session.connection.address
        most = self.settings.per_address_per_hour
        if self.made.reached(address, most) or self.taken.reached(
            address, most * TAKEN_NAMES_PER_ACCOUNT
        ):
            raise StanzaError(
                Condition.RESOURCE_CONSTRAINT, "Too many registrations. Try again in an hour."
            )
        self.made.count(address)  # at once: many streams may be at it
        try:
            await self._create(account, password, address)
        except (StanzaError, StoreError):
            self.made.uncount(address)
            raise

    async def _create(self, account: JID, password: str, address: str) -> None:
        try:
            if await self.accounts.store.exists(account.bare):
                raise AccountExists(account.bare)
            async with self.accounts.attempts.derivation(account.bare, address):
                if not await self.accounts.names.may_register(account, password):
                    self.taken.count(address)
                    raise StanzaError(Condition.NOT_ACCEPTABLE, "This name is reserved.")  # RG-1
                await self.passwords.create(account.bare, password)
        except AccountExists as error:
            self.taken.count(address)
            raise StanzaError(Condition.CONFLICT, "This name is taken.") from error
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error
        self.accounts.attempts.succeeded(account.bare, address)  # its user has chosen it

    def _check_password(self, password: str) -> None:
        """Refuse a password that is too short once it is prepared."""
        try:
            length = len(prepare_password(password).decode())
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error
        if length < self.settings.min_password_length:
            # COMPAT Conversations: knows these words, and asks for another password.
            raise StanzaError(Condition.NOT_ACCEPTABLE, "Please use a longer password.")

    # -- owners ---------------------------------------------------------------------------------

    async def _change_password(
        self, account: JID, session: LocalClientSession, fields: Tree
    ) -> None:
        if not self.settings.change_password:
            raise StanzaError(Condition.NOT_ALLOWED, "passwords are not changed here")
        name, password = field(fields, "username"), field(fields, "password")
        if not name or not password:
            raise StanzaError(Condition.BAD_REQUEST, "a name and a password are required")
        if account_of(name, account.domain) != account:
            raise StanzaError(Condition.FORBIDDEN, "this is not your name")
        self._check_password(password)
        try:
            await self.accounts.set_password(
                account, password, spare=session, address=session.connection.address
            )
        except NoSuchAccount as error:
            raise StanzaError(Condition.REGISTRATION_REQUIRED) from error
        except ValueError as error:
            raise StanzaError(Condition.NOT_ACCEPTABLE, str(error)) from error

    async def _remove(self, account: JID, iq: IQ, fields: Tree) -> None:
        """End the account (§3.2); the answer leaves before the stream is closed."""
        if len(fields) != 1:
            raise StanzaError(Condition.BAD_REQUEST, "remove stands alone")
        if not self.settings.remove_account:
            raise StanzaError(Condition.NOT_ALLOWED, "accounts are not removed here")
        try:
            await self.accounts.remove(account, request=iq)
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
        raise StanzaError(Condition.BAD_REQUEST, f"there are two fields {name}")
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


def plug(
    accounts: Accounts,
    passwords: Passwords,
    settings: RegistrationSettings,
    tls: TLSSettings,
    clocks: Clocks,
) -> list[Part]:
    """The parts of this feature."""
    handler = IQRegisterHandler(
        accounts,
        passwords,
        settings,
        tls.required,
        made=HourlyLimit(clocks.seconds),
        taken=HourlyLimit(clocks.seconds),
    )
    return [
        handler,
        Settings(RegistrationSettings, handler.use),
        StreamFeature(
            handler.advertise,
            needs=Stream.SECURE if tls.required else Stream.NEW,
            unless=Stream.AUTHENTICATED,
        ),
    ]
