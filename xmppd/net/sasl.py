"""The SASL feature: drives :mod:`xmppd.auth`, knows no mechanism (:rfc:`6120#section-6`)."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from twisted.logger import Logger

from xmppd.auth.attempts import AttemptLimiter
from xmppd.auth.base import AuthProvider, Exchange, Mechanism, SASLError
from xmppd.auth.mechanisms import offered
from xmppd.net.stream_feature import Negotiation, Stream, StreamFeature
from xmppd.stanza import JID, StreamCondition, StreamError, Tree, escape, ns, qname

CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"
_log = Logger()


@dataclass
class Attempt:
    """Where a stream stands in proving who it is."""

    exchange: Exchange
    mechanism: Mechanism | None = None
    failures: int = 0


class SASL:
    """Offers mechanisms and carries their messages; all streams share one.

    Args:
        provider: Who knows the accounts.
        limiter: Who slows guessing down.
        mechanisms: What the administrator allows, in order of preference.
        tls_required: Whether passwords never go in the clear.
        attempts_per_stream: Failures until the stream is closed.
        exchange_of: What a mechanism may know about a stream.
    """

    def __init__(
        self,
        provider: AuthProvider,
        limiter: AttemptLimiter,
        mechanisms: tuple[str, ...],
        *,
        tls_required: bool,
        attempts_per_stream: int,
        exchange_of: Callable[[Negotiation], Exchange],
    ) -> None:
        self.provider = provider
        self.limiter = limiter
        self.mechanisms = mechanisms
        self.tls_required = tls_required
        self.attempts_per_stream = attempts_per_stream
        self.exchange_of = exchange_of
        self._attempts: WeakKeyDictionary[Negotiation, Attempt] = WeakKeyDictionary()

    def feature(self) -> StreamFeature:
        """Its row in the table."""
        return StreamFeature(
            advertise=self.advertise,
            needs=Stream.SECURE if self.tls_required else Stream.NEW,
            unless=Stream.AUTHENTICATED,
            elements=(
                (qname(ns.SASL, "auth"), self.auth),
                (qname(ns.SASL, "response"), self.response),
                (qname(ns.SASL, "abort"), self.abort),
            ),
        )

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The mechanisms this stream may use, and what they may be bound to (:xep:`0440`)."""
        exchange = self.exchange_of(negotiation)
        names = offered(self.mechanisms, exchange, tls_required=self.tls_required)
        bindings = tuple(exchange.bindings)
        attempt = self._attempts.setdefault(negotiation, Attempt(exchange))
        attempt.exchange = replace(exchange, offered=names, offered_bindings=bindings)
        listed = "".join(f"<mechanism>{name}</mechanism>" for name in names)
        text = f"<mechanisms xmlns='{ns.SASL}'>{listed}</mechanisms>"
        if bindings:
            types = "".join(f"<channel-binding type='{name}'/>" for name in bindings)
            text += (
                f"<sasl-channel-binding xmlns='{CHANNEL_BINDING}'>{types}</sasl-channel-binding>"
            )
        return text.encode() if names else b""

    async def auth(self, negotiation: Negotiation, tree: Tree) -> None:
        """Begin an exchange with the mechanism the client chose."""
        attempt = self._attempts[negotiation]
        try:
            name = tree.get("mechanism", "")
            attempt.mechanism = self.limiter.begin(name, attempt.exchange, self.provider)
            if tree.text is None:
                negotiation.write(f"<challenge xmlns='{ns.SASL}'/>".encode())
                return
            await self._step(negotiation, attempt, tree)
        except SASLError as error:
            self._failed(negotiation, attempt, error)

    async def response(self, negotiation: Negotiation, tree: Tree) -> None:
        """Go on with it."""
        attempt = self._attempts[negotiation]
        try:
            await self._step(negotiation, attempt, tree)
        except SASLError as error:
            self._failed(negotiation, attempt, error)

    def abort(self, negotiation: Negotiation, tree: Tree) -> None:
        """The client gave up."""
        attempt = self._attempts[negotiation]
        self._failed(negotiation, attempt, SASLError("aborted"))

    async def _step(self, negotiation: Negotiation, attempt: Attempt, tree: Tree) -> None:
        mechanism = attempt.mechanism
        if mechanism is None:
            raise SASLError("malformed-request", "There is no exchange to respond in.")
        answer = await mechanism.step(_decoded(tree.text))
        if mechanism.account is None:
            text = b64encode(answer)
            negotiation.write(b"<challenge xmlns='%b'>%b</challenge>" % (ns.SASL.encode(), text))
            return
        self._proved(negotiation, mechanism.account, answer)

    def _proved(self, negotiation: Negotiation, account: str, answer: bytes) -> None:
        del self._attempts[negotiation]
        negotiation.authenticated(JID.parse(account))
        success = b64encode(answer)
        negotiation.write(b"<success xmlns='%b'>%b</success>" % (ns.SASL.encode(), success))
        negotiation.restart()

    def _failed(self, negotiation: Negotiation, attempt: Attempt, error: SASLError) -> None:
        attempt.mechanism = None
        attempt.failures += 1
        _log.info(
            "{id} {address} failed to log in: {condition}",
            id=negotiation.session.id, address=attempt.exchange.address, condition=error.condition,
        )  # fmt: skip
        text = f"<text xml:lang='en'>{escape(error.text)}</text>" if error.text else ""
        negotiation.write(
            f"<failure xmlns='{ns.SASL}'><{error.condition}/>{text}</failure>".encode()
        )
        if attempt.failures >= self.attempts_per_stream:
            raise StreamError(StreamCondition.POLICY_VIOLATION, "too many failed attempts")


def _decoded(text: str | None) -> bytes:
    """The message in an element; ``=`` says that there is one and it is empty (§6.4.2)."""
    if text is None or text == "=":
        return b""
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError) as error:
        raise SASLError("incorrect-encoding", "This is not Base64.") from error
