"""Challenges: what an authority is shown while it looks whether a name is ours."""

from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from xmppd.host.clocks import wall_clock
from xmppd.net.certificate import Identity
from xmppd.net.tls import TLS
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse

PATH = "/.well-known/acme-challenge/"

ChallengeKind = Literal["http-01", "tls-alpn-01"]

ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
"""id-pe-acmeIdentifier, :rfc:`8737#section-6.1`."""

_OCTETS = b"\x04\x20"
"""In DER, the beginning of an OCTET STRING of 32 bytes."""


class Challenges:
    """The answers to challenges under way: a text at a path (:rfc:`8555#section-8.3`), or a
    certificate in a handshake (:rfc:`8737`). The thread that speaks with the authority puts them
    there, and hides them.

    Args:
        tls: Whose handshakes show the certificates.
        kind: How this server can be looked at.

    Attributes:
        kind: The same.
    """

    def __init__(self, tls: TLS, kind: ChallengeKind) -> None:
        self.kind = kind
        self._tls = tls
        self._texts: dict[str, str] = {}

    def show_text(self, token: str, text: str) -> None:
        """Show a text to whoever knows its token, until it is hidden."""
        self._texts[token] = text

    def show_digest(self, name: str, digest: bytes) -> None:
        """Show a certificate with this digest to whoever asks for the name by ``acme-tls/1``."""
        self._tls.show_challenge(name, _identity(name, digest))

    def hide(self) -> None:
        """Show nothing any more."""
        self._texts.clear()
        self._tls.hide_challenges()

    def path(self) -> HTTPPath:
        """Where texts are shown, by whatever name the server is asked."""
        return HTTPPath(path=PATH, access=anybody, handle=self._answer, site="acme")

    def _answer(self, request: HTTPRequest) -> HTTPResponse:
        text = self._texts.get(request.path.removeprefix(PATH))
        if text is None:
            raise HTTPError(404, "No such challenge is in progress.")
        headers = (("Content-Type", "application/octet-stream"),)
        return HTTPResponse(200, text.encode(), headers)


def _identity(name: str, digest: bytes) -> Identity:
    """A certificate that nobody but an authority is shown: for one name, with a digest of 32
    bytes.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "challenge")])
    now = datetime.fromtimestamp(wall_clock(), UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, _OCTETS + digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Identity(certificate, (), key)
