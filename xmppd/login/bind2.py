"""Bind2 (:xep:`0386`): a resource, and all that a session begins with, inside of the login."""

import hmac
from base64 import urlsafe_b64encode
from secrets import token_urlsafe

from twisted.logger import Logger

from xmppd.presence.binding import Binding
from xmppd.session.local_client_session import LocalClientSession
from xmppd.stanza import JID, StanzaError, Tree, qname
from xmppd.stream.bound_extra import BoundExtras
from xmppd.stream.inline_feature import InlineFeature, InlineFeatures, InlinePlace
from xmppd.stream.stream_feature import Negotiation

NS = "urn:xmpp:bind:0"
BIND = qname(NS, "bind")
MAX_TAG_LENGTH = 64
STABLE_BYTES = 9
_log = Logger()


class Bind2:
    """Binds the resource that ``<bind/>`` in a login asks for; all streams share one.

    Args:
        binding: Binds the resource.
        inline: The features that may be negotiated with it.
        extras: What is said without being asked.
        secret: This installation's own.
    """

    def __init__(
        self, binding: Binding, inline: InlineFeatures, extras: BoundExtras, secret: bytes
    ) -> None:
        self.binding = binding
        self.inline = inline
        self.extras = extras
        self._secret = secret

    def advertise(self, negotiation: Negotiation) -> bytes:
        """Its element in SASL2's ``<inline/>``."""
        features = self.inline.advertised(InlinePlace.BIND, negotiation)
        return b"<bind xmlns='%b'><inline>%b</inline></bind>" % (NS.encode(), features)

    async def bind(self, negotiation: Negotiation, tree: Tree, taken: list[InlineFeature]) -> bytes:
        """Bind a resource and take what was asked for with it (LI-5 to LI-7).

        Nothing waits once the session can be reached.

        Args:
            negotiation: The stream; it has logged in.
            tree: The client's ``<bind/>``.
            taken: The features that were taken are added to it.

        Returns:
            ``<bound/>``; nothing if no resource could be bound: then the client is offered the
            binding of :rfc:`6120`, which tells it why not.
        """
        session = negotiation.session
        async with self.extras.around(negotiation) as extras:
            try:
                await self.binding.bind(session, self._resource(session, tree), session.device)
            except StanzaError as error:
                _log.info(
                    "{id} {account} {address} could not bind: {condition} {text}",
                    id=session.id, account=session.account, address=session.connection.address,
                    condition=error.condition.value, text=error.text or "",
                )  # fmt: skip
                return b""
            answers = self._answers(negotiation, tree, taken)
            return b"<bound xmlns='%b'>%b%b</bound>" % (NS.encode(), extras(), b"".join(answers))

    def _answers(
        self, negotiation: Negotiation, tree: Tree, taken: list[InlineFeature]
    ) -> list[bytes]:
        answers = []
        for feature, take, element in self.inline.asked(InlinePlace.BIND, tree):
            answer = take(negotiation, element)
            assert isinstance(answer, bytes), "the session can be reached: nothing may wait"
            answers.append(answer)
            taken.append(feature)
        return answers

    def _resource(self, session: LocalClientSession, tree: Tree) -> str:
        """The client's tag, and behind it a text that is the same at each login of this client.

        A tag that no resource may have is left out.
        """
        tag = (tree.findtext(qname(NS, "tag")) or "").strip()[:MAX_TAG_LENGTH]
        own = self._own_part(session, tag)
        try:
            JID.of(None, session.jid.domain, f"{tag}/{own}")
        except ValueError:
            return own
        return f"{tag}/{own}" if tag else own

    def _own_part(self, session: LocalClientSession, tag: str) -> str:
        """The text made from the id of the client, which it does not give away; random without
        one.
        """
        device = session.device
        if not device or session.account is None:
            return token_urlsafe(STABLE_BYTES)
        message = f"resource\0{session.account.bare}\0{tag}\0{device}".encode()
        return urlsafe_b64encode(
            hmac.digest(self._secret, message, "sha256")[:STABLE_BYTES]
        ).decode()
