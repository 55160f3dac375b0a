"""TLS towards other servers: the certificate that we show, and the name that we ask for."""

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
    """The contexts for connections to other servers: one for each domain of ours, with its
    certificate if it has one, and one without.

    No handshake fails for the other side's certificate: policy decides whether it is enough.

    Args:
        settings: Versions and ciphers.
        tls: Has read the certificates; None if there are none.
    """

    def __init__(self, settings: TLSSettings, tls: TLS | None) -> None:
        self._settings = settings
        self._tls = tls
        self._contexts: dict[str, SSL.Context] = {}
        """By domain; the one without a certificate by an empty name."""

    def renew(self) -> None:
        """Connections from now on show the certificates as they are now."""
        self._contexts.clear()

    def towards(
        self, remote: str, local: str, *, direct_tls: bool, shows: bool = True
    ) -> "Towards":
        """The context factory for ``startTLS``.

        Args:
            remote: The domain that we connect to.
            local: The domain of ours in whose name.
            direct_tls: TLS begins with the first byte, so that ALPN says what is spoken.
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
        """Whether this domain has a certificate."""
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
        """The OpenSSL connection for a handshake of Twisted's."""
        connection = SSL.Connection(self._context, None)
        connection.set_tlsext_host_name(self._server_name)
        if self._protocols:
            connection.set_alpn_protos(self._protocols)
        return connection


def _go_on(connection: SSL.Connection, certificate: X509, error: int, depth: int, ok: int) -> bool:
    return True


__all__ = ["OutgoingTLS", "Towards"]
