"""TLS between nodes: each shows a certificate of its own making, and looks at that of the other."""

from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from OpenSSL.crypto import X509
from twisted.internet.interfaces import IOpenSSLContextFactory, ISystemHandle
from zope.interface import implementer

from xmppd.cluster.link_protocol import LinkTransport
from xmppd.config.config import TLSSettings
from xmppd.net.certificate import make_identity
from xmppd.net.tls import new_context, peer_certificate
from xmppd.net.transport import Transport

CERTIFICATE_DAYS = 3_650
"""Nobody looks at this: the directory says which certificate is a node's."""


@implementer(IOpenSSLContextFactory)
class NodeTLS:
    """The certificate of this process, and TLS 1.3 with other nodes at either end.

    Attributes:
        digest: Of the certificate, SHA-256.
    """

    def __init__(self) -> None:
        identity = make_identity("node.invalid", days=CERTIFICATE_DAYS)
        self.digest = _digest(identity.certificate)
        self._context = new_context(SSL.TLS_METHOD, TLSSettings(minimum_version="1.3"))
        self._context.use_certificate(identity.certificate)
        self._context.use_privatekey(identity.key)
        self._context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, _go_on)

    def getContext(self) -> SSL.Context:
        """The context for both ends."""
        return self._context

    def start(self, transport: LinkTransport) -> None:
        """Begin TLS, as the client where we have dialled."""
        cast(Transport, transport).startTLS(self)

    def digest_of_peer(self, transport: LinkTransport) -> str:
        """The digest of the certificate that the other end has shown; empty if there is none."""
        shown = peer_certificate(cast(ISystemHandle, transport))
        return "" if shown is None else _digest(shown.certificate)


def _digest(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()


def _go_on(connection: SSL.Connection, certificate: X509, error: int, depth: int, ok: int) -> bool:
    """Finish every handshake: who is a node is decided by the digest, and the key is proved."""
    return True


__all__ = ["NodeTLS"]
