"""Authentication: offers and exchanges of SASL, shared by both of its profiles in XMPP."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from twisted.logger import Logger

from xmppd.account.stream_ends import StreamEnds
from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import (
    AuthProvider,
    BindingRefused,
    Exchange,
    Mechanism,
    SASLError,
    while_store_answers,
)
from xmppd.auth.bearer import BearerMechanism
from xmppd.auth.login import Login, UserAgent
from xmppd.auth.mechanisms import offered
from xmppd.config.config import AuthSettings
from xmppd.session.peer_counts import Growth, Peer
from xmppd.stanza import JID, StreamCondition, StreamError
from xmppd.stream.stream_feature import Negotiation, Stream

Make = Callable[[str, Exchange], Mechanism]
_log = Logger()

OUTCOMES = ("succeeded", "failed")
OTHER = "other"


@dataclass(frozen=True)
class Underway:
    """An exchange that has begun.

    Attributes:
        name: Of the mechanism.
        mechanism: The exchange itself.
        profile: Namespace of the elements that carry it; elements of another do not continue it.
        began: The moment when it began, as :class:`~xmppd.account.stream_ends.StreamEnds` counts.
    """

    name: str
    mechanism: Mechanism
    profile: str
    began: int


@dataclass
class Attempt:
    """The state of a stream's authentication.

    Attributes:
        exchange: The stream as mechanisms know it, with the mechanisms it was offered.
        offered_to: The state of the stream at the offer.
        underway: The exchange that waits for the client; None if none does.
        failures: The number of failures.
        unbound: The mechanisms that were refused for their channel binding.
    """

    exchange: Exchange
    offered_to: tuple[Stream, str]
    underway: Underway | None = None
    failures: int = 0
    unbound: frozenset[str] = frozenset()


class Authentication:
    """Offers mechanisms, begins their exchanges and counts how they end; all streams share one.

    Args:
        provider: Knows the accounts.
        limiter: Slows guessing down.
        ends: Knows whether an account's streams were closed meanwhile.
        settings: The mechanisms, in order of preference, and how often a stream may fail.
        tls_required: Whether passwords never go in the clear.
        exchange_of: What a mechanism may know about a stream.

    Attributes:
        outcomes: How often each mechanism has ended in each of :data:`OUTCOMES`; a name that nobody
            was offered counts as :data:`OTHER`.
        on_failed: Called with who has failed to log in, by the account that was tried.
    """

    def __init__(
        self,
        provider: AuthProvider,
        limiter: AttemptLimiter,
        ends: StreamEnds,
        settings: AuthSettings,
        *,
        tls_required: bool,
        exchange_of: Callable[[Negotiation], Exchange],
    ) -> None:
        self.provider = provider
        self.limiter = limiter
        self.ends = ends
        self.settings = settings
        self.tls_required = tls_required
        self.exchange_of = exchange_of
        self.outcomes: Counter[tuple[str, str]] = Counter()
        self.on_failed: Callable[[Peer, Growth], None] = lambda peer, grown: None
        self._attempts: WeakKeyDictionary[Negotiation, Attempt] = WeakKeyDictionary()

    def use(self, settings: AuthSettings) -> None:
        """Go by other limits from now on."""
        self.settings = settings

    @property
    def needs(self) -> Stream:
        """The state in which a stream is offered mechanisms."""
        return Stream.SECURE if self.tls_required else Stream.NEW

    def offer(self, negotiation: Negotiation) -> Exchange:
        """The exchange of a stream, with the mechanisms and channel bindings it may use.

        Both profiles offer the same, so that either list is what :xep:`0474` protects.
        """
        point = (negotiation.stream, negotiation.domain)
        attempt = self._attempts.get(negotiation)
        if attempt is not None and attempt.offered_to == point:
            return attempt.exchange
        exchange = self.exchange_of(negotiation)
        names = offered(
            self.settings.mechanisms,
            exchange,
            self.provider,
            tls_required=self.tls_required,
        )
        exchange = exchange.offering(names)
        self._attempts[negotiation] = made = Attempt(exchange, point)
        if attempt is not None:
            made.failures, made.unbound = attempt.failures, attempt.unbound
        return exchange

    def begin(
        self, negotiation: Negotiation, name: str, profile: str, make: Make | None = None
    ) -> None:
        """Begin an exchange with the mechanism that the client chose.

        Args:
            negotiation: The stream.
            name: The mechanism.
            profile: Whose elements carry it.
            make: Makes the exchange, for a mechanism that is not among those for all clients.

        Raises:
            SASLError: ``invalid-mechanism``: it was not offered.
        """
        attempt = self._attempts[negotiation]
        attempt.underway = None
        if make is not None:
            mechanism = make(name, attempt.exchange)
        else:
            mechanism = self.limiter.begin(name, attempt.exchange, self.provider)
        attempt.underway = Underway(name, mechanism, profile, self.ends.now())

    async def step(self, negotiation: Negotiation, message: str, profile: str) -> bytes:
        """Take the client's message, in Base64; returns the answer.

        Raises:
            SASLError: The attempt is over, or there is none.
        """
        underway = self._attempts[negotiation].underway
        if underway is None or underway.profile != profile:
            raise SASLError("malformed-request", "No authentication is in progress.")
        with while_store_answers():
            return await underway.mechanism.step(_decoded(message))

    def account(self, negotiation: Negotiation) -> JID | None:
        """The account that has proved itself; None until then."""
        attempt = self._attempts.get(negotiation)
        if attempt is None or attempt.underway is None:
            return None
        account = attempt.underway.mechanism.account
        return None if account is None else JID.parse(account)

    def complete(self, negotiation: Negotiation, account: JID, agent: UserAgent) -> Login:
        """Let the client in, as this account.

        Raises:
            StreamError: RESET: the account's password has changed meanwhile, or it was closed.
        """
        underway = self._attempts.pop(negotiation).underway
        assert underway is not None, "somebody has proved who they are"
        self.ends.check(account, underway.began)
        self.outcomes[underway.name, "succeeded"] += 1
        mechanism = underway.mechanism
        proof = mechanism.let_in(agent.id) if isinstance(mechanism, BearerMechanism) else ""
        login = Login(underway.name, mechanism.binding, agent, proof)
        negotiation.authenticated(account)
        negotiation.session.login = login
        return login

    def fail(self, negotiation: Negotiation, error: SASLError) -> None:
        """Count a failure that the client has been told.

        Raises:
            StreamError: It was one too many.
        """
        attempt = self._attempts[negotiation]
        tried = OTHER if attempt.underway is None else attempt.underway.name
        self.outcomes[tried, "failed"] += 1
        attempt.underway = None
        attempt.failures += 1
        if isinstance(error, BindingRefused):
            # COMPAT slixmpp 1.8 (poezio): it tries each mechanism with tls-unique, which TLS 1.3
            # does not have, and then those without channel binding.
            attempt.unbound |= {tried}
        session = negotiation.session
        account, address = error.account or "", attempt.exchange.address
        peer = Peer(session.jid.full, account, address, session.agent, session.jid.domain)
        self.on_failed(peer, Growth(failed_logins=1))
        if account:
            self.limiter.note(account, address, tried, error.condition)
        _log.info(
            "{id} {address} failed to log in as {account}: {condition}",
            id=session.id, address=address, account=account or "nobody",
            condition=error.condition,
        )  # fmt: skip
        if attempt.failures >= self.settings.attempts_per_stream + len(attempt.unbound):
            raise StreamError(StreamCondition.POLICY_VIOLATION, "too many failed attempts")


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise SASLError("incorrect-encoding", "This is not Base64.") from error
