"""SASL, the profile of :rfc:`6120#section-6`: messages between a stream and :mod:`xmppd.auth`."""

from base64 import b64encode
from functools import lru_cache

from xmppd.auth.base import SASLError
from xmppd.auth.login import UserAgent
from xmppd.login.authentication import Authentication
from xmppd.stanza import JID, Tree, escape, ns, qname
from xmppd.stream.stream_feature import Negotiation, Stream, StreamFeature

CHANNEL_BINDING = "urn:xmpp:sasl-cb:0"

MAX_OFFERS = 64
"""Different lists that are kept as bytes: more than a configuration can lead to."""


class SASL:
    """The profile of :rfc:`6120`; all streams share one.

    Args:
        authentication: The part that it shares with SASL2.
    """

    def __init__(self, authentication: Authentication) -> None:
        self.authentication = authentication

    def feature(self) -> StreamFeature:
        """Its row in the table."""
        return StreamFeature(
            advertise=self.advertise,
            needs=self.authentication.needs,
            unless=Stream.AUTHENTICATED,
            elements=(
                (qname(ns.SASL, "auth"), self.auth),
                (qname(ns.SASL, "response"), self.response),
                (qname(ns.SASL, "abort"), self.abort),
            ),
        )

    def advertise(self, negotiation: Negotiation) -> bytes:
        """The mechanisms and channel bindings that this stream may use (:xep:`0440`)."""
        exchange = self.authentication.offer(negotiation)
        return _offer(exchange.offered, exchange.offered_bindings) if exchange.offered else b""

    async def auth(self, negotiation: Negotiation, tree: Tree) -> None:
        """Begin an exchange with the mechanism the client chose."""
        try:
            self.authentication.begin(negotiation, tree.get("mechanism", ""), ns.SASL)
            if tree.text is None:
                negotiation.write(f"<challenge xmlns='{ns.SASL}'/>".encode())
                return
            await self._step(negotiation, tree)
        except SASLError as error:
            self._failed(negotiation, error)

    async def response(self, negotiation: Negotiation, tree: Tree) -> None:
        """Continue the exchange."""
        try:
            await self._step(negotiation, tree)
        except SASLError as error:
            self._failed(negotiation, error)

    def abort(self, negotiation: Negotiation, tree: Tree) -> None:
        """End an exchange that the client has aborted."""
        self._failed(negotiation, SASLError("aborted"))

    async def _step(self, negotiation: Negotiation, tree: Tree) -> None:
        message = tree.text or ""
        if message == "=":  # says that there is a message, and it is empty (§6.4.2)
            message = ""
        answer = await self.authentication.step(negotiation, message, ns.SASL)
        account = self.authentication.account(negotiation)
        if account is not None:
            self._succeeded(negotiation, account, answer)
            return
        text = b64encode(answer)
        negotiation.write(b"<challenge xmlns='%b'>%b</challenge>" % (ns.SASL.encode(), text))

    def _succeeded(self, negotiation: Negotiation, account: JID, answer: bytes) -> None:
        self.authentication.complete(negotiation, account, UserAgent())
        success = b64encode(answer)
        negotiation.write(b"<success xmlns='%b'>%b</success>" % (ns.SASL.encode(), success))
        negotiation.restart()

    def _failed(self, negotiation: Negotiation, error: SASLError) -> None:
        text = f"<text xml:lang='en'>{escape(error.text)}</text>" if error.text else ""
        negotiation.write(
            f"<failure xmlns='{ns.SASL}'><{error.condition}/>{text}</failure>".encode()
        )
        self.authentication.fail(negotiation, error)


@lru_cache(maxsize=MAX_OFFERS)
def _offer(mechanisms: tuple[str, ...], bindings: tuple[str, ...]) -> bytes:
    """The features that list these; nothing else is in them, so what is kept is always right."""
    listed = "".join(f"<mechanism>{name}</mechanism>" for name in mechanisms)
    text = f"<mechanisms xmlns='{ns.SASL}'>{listed}</mechanisms>"
    if bindings:
        types = "".join(f"<channel-binding type='{name}'/>" for name in bindings)
        text += f"<sasl-channel-binding xmlns='{CHANNEL_BINDING}'>{types}</sasl-channel-binding>"
    return text.encode()
