"""An authority that signs the certificates of servers under test."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from xmppd.host.clocks import wall_clock
from xmppd.net.certificate import ascii_domain

DAY = timedelta(days=1)
EXPIRED_DAYS = -1.0


class SigningAuthority:
    """Signs for whoever asks; its key is in memory only.

    Args:
        directory: Where its certificate is written, and those it signs.
        name: How it calls itself.

    Attributes:
        file: PEM, with its certificate.
    """

    def __init__(self, directory: Path, name: str = "authority") -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.fromtimestamp(wall_clock(), UTC)
        certificate = (
            self._certificate(self._name, self._key.public_key(), now - DAY, now + 100 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.file = directory / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, domain: str, *names: str, days: float = 90, directory: Path | None = None
    ) -> tuple[Path, Path]:
        """Write a certificate and its key.

        Args:
            domain: What the files are called, and whom it is for, unless there are names.
            names: Whom it is for instead: domains, and IP addresses.
            days: How long it is valid yet; less than 0 if it has expired.
            directory: Where to write, if not beside the authority.

        Returns:
            The files: DOMAIN.crt, DOMAIN.key.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._signed(domain, names or (domain,), key.public_key(), days)
        where = directory or self._directory
        certificate_file, key_file = where / f"{domain}.crt", where / f"{domain}.key"
        certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.touch(0o600)
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return certificate_file, key_file

    def issue_expired(self, domain: str, key_file: Path, file: Path) -> None:
        """Write a certificate that has expired, for a key that there is.

        Args:
            domain: The domain that it is for.
            key_file: The key.
            file: What is written.
        """
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "we have made it"
        certificate = self._signed(domain, (domain,), key.public_key(), EXPIRED_DAYS)
        file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _signed(
        self, domain: str, names: Sequence[str], key: ec.EllipticCurvePublicKey, days: float
    ) -> x509.Certificate:
        """A certificate of a domain, with these names, that is valid for so long yet."""
        now = datetime.fromtimestamp(wall_clock(), UTC)
        end = now + timedelta(days=days)
        start = min(now - DAY, end - 10 * DAY)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
        return (
            self._certificate(subject, key, start, end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(
                x509.SubjectAlternativeName(list(map(_named, names))),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, begin: datetime, end: datetime
    ) -> x509.CertificateBuilder:
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(authority, critical=False)
        )


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(ascii_domain(name))


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


__all__ = ["SigningAuthority"]
