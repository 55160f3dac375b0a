"""Certificates: read with their key, made for a trial run, and the addresses in them."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import idna
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID, ObjectIdentifier

from xmppd.host.clocks import wall_clock

PrivateKey = (
    ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | rsa.RSAPrivateKey
)

XMPP_ADDR = ObjectIdentifier("1.3.6.1.5.5.7.8.5")
"""id-on-xmppAddr, :rfc:`6120#section-13.7.1.4`."""

SRV_NAME = ObjectIdentifier("1.3.6.1.5.5.7.8.7")
"""id-on-dnsSRV, :rfc:`4985`."""

_UTF8_STRING = 0x0C
_IA5_STRING = 0x16


@dataclass(frozen=True)
class Identity:
    """A certificate, those that lead from it to its root, and its private key."""

    certificate: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    key: PrivateKey

    @cached_property
    def ends(self) -> float:
        """The time when the certificate ends, in seconds since 1970."""
        return self.certificate.not_valid_after_utc.timestamp()


@dataclass(frozen=True)
class CertifiedAddresses:
    """The addresses in a certificate.

    Attributes:
        xmpp_addresses: Addresses of XMPP.
        dns_names: Hosts, some with a star for their first label.
        srv_names: Services of a domain, such as ``_xmpp-server.example.org`` (:rfc:`4985`).
    """

    xmpp_addresses: tuple[str, ...]
    dns_names: tuple[str, ...]
    srv_names: tuple[str, ...] = ()


def load_identity(chain_file: Path, key_file: Path) -> Identity:
    """Read a certificate with its chain, and its key.

    Raises:
        ValueError: One sentence: which file, what is wrong with it, what to do.
    """
    certificate, *intermediates = _load_chain(chain_file)
    if key_file == chain_file and b"PRIVATE KEY" not in read_file(chain_file):
        raise ValueError(
            f"{chain_file} holds no private key, and domain.key is missing: set domain.key to the "
            "file with the key"
        )
    key = _load_key(key_file)
    if _public_bytes(certificate.public_key()) != _public_bytes(key.public_key()):
        raise ValueError(
            f"{key_file} is not the key of the first certificate in {chain_file}: use the key "
            "that belongs to this certificate"
        )
    return Identity(certificate, tuple(intermediates), key)


def load_authorities(file: Path) -> list[x509.Certificate]:
    """Read the certificates of trusted authorities.

    Raises:
        ValueError: One sentence: what is wrong with the file, what to do.
    """
    pem = read_file(file)
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError(
            f"{file} has no certificate in PEM format: use a file with the authorities you trust"
        ) from error


def make_self_signed(domain: str, chain_file: Path, key_file: Path, *, days: int = 365) -> None:
    """Write a new P-256 key and a certificate for the domain that only we have signed.

    Raises:
        FileExistsError: There is a key file; it is not overwritten.
    """
    identity = make_identity(domain, days=days)
    pem = identity.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with os.fdopen(os.open(key_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem)
    chain_file.write_bytes(identity.certificate.public_bytes(serialization.Encoding.PEM))


def make_identity(domain: str, *, days: int) -> Identity:
    """A new P-256 key, and a certificate for the domain that only we have signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Identity(_self_signed(domain, key, days), (), key)


def xmpp_addresses(certificate: x509.Certificate) -> CertifiedAddresses:
    """The addresses in a certificate, for SASL EXTERNAL (:xep:`0178`) and between servers.

    Names that are not well-formed are left out: they name nobody.
    """
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return CertifiedAddresses((), ())
    others = names.get_values_for_type(x509.OtherName)
    return CertifiedAddresses(
        _texts(others, XMPP_ADDR, _UTF8_STRING),
        tuple(names.get_values_for_type(x509.DNSName)),
        _texts(others, SRV_NAME, _IA5_STRING),
    )


def _texts(names: Iterable[x509.OtherName], kind: ObjectIdentifier, string: int) -> tuple[str, ...]:
    texts = (_der_text(name.value, string) for name in names if name.type_id == kind)
    return tuple(text for text in texts if text)


def ascii_domain(domain: str) -> str:
    """A domain as certificates and SNI spell it: lower-case A-labels.

    Raises:
        ValueError: It cannot be a domain name.
    """
    return domain.lower() if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")


def read_file(path: Path) -> bytes:
    """The bytes of a file an administrator has named.

    Raises:
        ValueError: One sentence: which file, what is wrong with it, what to do.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(
            f"{path} cannot be read ({error.strerror}): the file must exist, and the user that "
            "xmppd runs as must be able to read it"
        ) from error


def _load_chain(path: Path) -> list[x509.Certificate]:
    pem = read_file(path)
    try:
        chain = x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise ValueError(
            f"{path} has no certificate in PEM format: use the file with the certificate and its "
            "chain, such as fullchain.pem"
        ) from error
    _check_dates(path, chain[0])
    return chain


def _check_dates(path: Path, certificate: x509.Certificate) -> None:
    now = datetime.fromtimestamp(wall_clock(), UTC)
    if certificate.not_valid_after_utc < now:
        raise ValueError(
            f"{path} expired on {certificate.not_valid_after_utc:%Y-%m-%d}: renew the certificate"
        )
    if certificate.not_valid_before_utc > now:
        raise ValueError(
            f"{path} is valid only from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC: "
            "check the clock of this machine"
        )


def _load_key(path: Path) -> PrivateKey:
    pem = read_file(path)
    try:
        key = serialization.load_pem_private_key(pem, None)
    except TypeError as error:
        raise ValueError(
            f"{path} is encrypted: decrypt it with openssl pkey -in … -out …"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{path} has no private key in PEM format: use the file with the key, such as "
            "privkey.pem"
        ) from error
    if not isinstance(key, PrivateKey):
        raise ValueError(f"{path} is not a key for TLS: use an ECDSA, RSA or Ed25519 key")
    return key


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _self_signed(domain: str, key: ec.EllipticCurvePrivateKey, days: int) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    text = domain.encode()
    names = [
        x509.DNSName(ascii_domain(domain)),
        x509.OtherName(XMPP_ADDR, _der_string(text)),
    ]
    now = datetime.fromtimestamp(wall_clock(), UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )


def _der_string(text: bytes) -> bytes:
    """A DER UTF8String."""
    length = len(text)
    if length < 0x80:
        return bytes([_UTF8_STRING, length]) + text
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([_UTF8_STRING, 0x80 | len(octets)]) + octets + text


def _der_text(der: bytes, string: int) -> str | None:
    """The text of one DER string of this kind; None if it is anything else, or not whole."""
    if len(der) < 2 or der[0] != string:
        return None
    start, length = 2, der[1]
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(der[2:start])
    if len(der) != start + length:
        return None
    try:
        return der[start:].decode()
    except UnicodeDecodeError:
        return None
