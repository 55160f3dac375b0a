"""TLS towards other servers: what we show them, and whom we ask for."""

from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from xmppd.config.config import TLSSettings
from xmppd.net.certificate import ascii_domain
from xmppd.net.tls import TLS, new_context, show

_ALPN = [b"xmpp-server"]


class OutgoingTLS:
    """A context for each domain of ours, which shows that domain's certificate if it has one; and
    one that shows none.

    No handshake fails for what the other side shows: whether that is enough is policy's to say.

    Args:
        settings: Versions and ciphers.
        tls: Has read the certificates; None if there are none.
    """

    def __init__(self, settings: TLSSettings, tls: TLS | None) -> None:
        self._settings = settings
        self._tls = tls
        self._contexts: dict[str, SSL.Context] = {}
        """By domain; the one that shows nothing by an empty name."""

    def renew(self) -> None:
        """Connections from now on show the certificates as they are now."""
        self._contexts.clear()

    def towards(
        self, remote: str, local: str, *, direct_tls: bool, shows: bool = True
    ) -> "Towards":
        """What to give to ``startTLS``.

        Args:
            remote: The domain that we want to speak with.
            local: The domain in whose name.
            direct_tls: TLS begins with the first byte, so that it says what is spoken.
            shows: Whether the domain's certificate is shown.

        Raises:
            ValueError: OpenSSL refuses a certificate.
        """
        name = local if shows else ""
        context = self._contexts.get(name)
        if context is None:
            context = self._contexts[name] = self._context(name)
        return Towards(context, ascii_domain(remote).encode(), _ALPN if direct_tls else [])

    def has_certificate(self, local: str) -> bool:
        """Whether we can show who we are."""
        return self._tls is not None and self._tls.identity(local) is not None

    def _context(self, local: str) -> SSL.Context:
        context = new_context(SSL.TLS_CLIENT_METHOD, self._settings)
        context.set_verify(SSL.VERIFY_PEER, _go_on)
        identity = None if self._tls is None else self._tls.identity(local)
        if identity is not None:
            show(context, *identity)
        return context


@implementer(IOpenSSLClientConnectionCreator)
class Towards:
    """The client's end of TLS towards one domain."""

    def __init__(self, context: SSL.Context, server_name: bytes, protocols: list[bytes]) -> None:
        self._context = context
        self._server_name = server_name
        self._protocols = protocols

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """Twisted begins a handshake."""
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._server_name)
        if self._protocols:
            connection.set_alpn_protos(self._protocols)
        return connection


def _go_on(connection: SSL.Connection, certificate: X509, error: int, depth: int, ok: int) -> bool:
    return True


__all__ = ["OutgoingTLS", "Towards"]
