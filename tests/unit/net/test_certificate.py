"""Reading certificates and keys: what is wrong is said in one sentence that names the file."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID, ObjectIdentifier
from twisted.trial.unittest import SynchronousTestCase

from xmppd.net.certificate import (
    XMPP_ADDR,
    CertifiedAddresses,
    PrivateKey,
    ascii_domain,
    load_identity,
    make_self_signed,
    xmpp_addresses,
)

SHA256 = hashes.SHA256()


def pem_key(key: PrivateKeyTypes, password: bytes = b"") -> bytes:
    """A key as openssl writes it."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


def certificate(
    key: PrivateKey,
    *names: x509.GeneralName,
    algorithm: hashes.SHA256 | hashes.SHA384 | None = SHA256,
    start: timedelta = timedelta(days=-2),
    end: timedelta = timedelta(days=2),
) -> x509.Certificate:
    """A certificate that is valid from now + start to now + end."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now + start)
        .not_valid_after(now + end)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, algorithm)


def pem(*certificates: x509.Certificate) -> bytes:
    """A chain file."""
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


class LoadTests(SynchronousTestCase):
    """load_identity."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.chain, self.key = self.directory / "chain.pem", self.directory / "key.pem"
        self.secret = ec.generate_private_key(ec.SECP256R1())
        self.chain.write_bytes(pem(certificate(self.secret)))
        self.key.write_bytes(pem_key(self.secret))

    def assertRefused(self, *words: str) -> None:
        """Loading fails with a sentence that holds these words."""
        with self.assertRaises(ValueError) as caught:
            load_identity(self.chain, self.key)
        for word in words:
            self.assertIn(word, str(caught.exception))

    def test_chain(self) -> None:
        """A certificate, what follows it in its file, and its key."""
        other = certificate(ec.generate_private_key(ec.SECP256R1()))
        self.chain.write_bytes(pem(certificate(self.secret), other))
        identity = load_identity(self.chain, self.key)
        self.assertEqual(identity.certificate.public_key(), self.secret.public_key())
        self.assertEqual(identity.intermediates, (other,))

    def test_missing(self) -> None:
        """A file that is not there is named."""
        self.chain.unlink()
        self.assertRefused(str(self.chain), "cannot be read", "must exist")

    def test_missing_key(self) -> None:
        """So is a key that is not there."""
        self.key.unlink()
        self.assertRefused(str(self.key), "cannot be read")

    def test_directory(self) -> None:
        """A directory is no file."""
        self.chain = self.directory
        self.assertRefused(str(self.directory), "Is a directory")

    def test_no_certificate(self) -> None:
        """A file with something else in it is refused, with a hint at the right one."""
        for content in (b"", b"hello", pem_key(self.secret), b"\x00\xff" * 100):
            self.chain.write_bytes(content)
            self.assertRefused(str(self.chain), "no certificate", "fullchain.pem")

    def test_no_key(self) -> None:
        """A key file with something else in it is refused, with a hint at the right one."""
        for content in (b"", b"hello", self.chain.read_bytes()):
            self.key.write_bytes(content)
            self.assertRefused(str(self.key), "no private key", "privkey.pem")

    def test_no_key_in_chain(self) -> None:
        """Without a key of its own, the file of the certificate has to have it."""
        self.key = self.chain
        self.assertRefused(str(self.chain), "holds no private key", "set domain.key")

    def test_expired(self) -> None:
        """An expired certificate is refused, with its day."""
        old = certificate(self.secret, end=timedelta(days=-1))
        self.chain.write_bytes(pem(old))
        day = f"{old.not_valid_after_utc:%Y-%m-%d}"
        self.assertRefused(str(self.chain), f"expired on {day}", "renew")

    def test_not_yet_valid(self) -> None:
        """A certificate from the future hints at the clock."""
        self.chain.write_bytes(pem(certificate(self.secret, start=timedelta(days=1))))
        self.assertRefused(str(self.chain), "valid only from", "clock")

    def test_encrypted_key(self) -> None:
        """A key with a password is refused, with the command that takes it off."""
        self.key.write_bytes(pem_key(self.secret, b"secret"))
        self.assertRefused(str(self.key), "encrypted", "openssl pkey")

    def test_mismatch(self) -> None:
        """A key of another certificate is refused, naming both files."""
        self.key.write_bytes(pem_key(ec.generate_private_key(ec.SECP256R1())))
        self.assertRefused(str(self.key), str(self.chain), "is not the key")

    def test_key_of_no_use(self) -> None:
        """A key that cannot sign is refused."""
        self.key.write_bytes(pem_key(x25519.X25519PrivateKey.generate()))
        self.assertRefused(str(self.key), "not a key for TLS")


class SelfSignedTests(SynchronousTestCase):
    """make_self_signed."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.chain, self.key = directory / "chain.pem", directory / "key.pem"

    def test_loads(self) -> None:
        """What was made can be loaded, names the domain, and only we may read the key."""
        make_self_signed("montague.lit", self.chain, self.key)
        identity = load_identity(self.chain, self.key)
        self.assertEqual(
            xmpp_addresses(identity.certificate),
            CertifiedAddresses(("montague.lit",), ("montague.lit",)),
        )
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)

    def test_no_ascii(self) -> None:
        """A domain beyond ASCII is there in both spellings."""
        make_self_signed("Bücher.example", self.chain, self.key)
        self.assertEqual(
            xmpp_addresses(load_identity(self.chain, self.key).certificate),
            CertifiedAddresses(("Bücher.example",), ("xn--bcher-kva.example",)),
        )

    def test_long_domain(self) -> None:
        """A domain longer than a common name may be is there whole."""
        domain = ".".join(["a" * 60] * 4)
        make_self_signed(domain, self.chain, self.key)
        names = xmpp_addresses(load_identity(self.chain, self.key).certificate)
        self.assertEqual(names, CertifiedAddresses((domain,), (domain,)))

    def test_no_overwriting(self) -> None:
        """A key that is there stays."""
        self.key.write_text("precious")
        with self.assertRaises(FileExistsError):
            make_self_signed("montague.lit", self.chain, self.key)
        self.assertEqual(self.key.read_text(), "precious")


class AddressTests(SynchronousTestCase):
    """xmpp_addresses."""

    key = ec.generate_private_key(ec.SECP256R1())

    def test_names(self) -> None:
        """XmppAddr and DNS names are read, in their order; other names are not taken for them."""
        shown = certificate(
            self.key,
            x509.DNSName("montague.lit"),
            x509.OtherName(XMPP_ADDR, b"\x0c\x12romeo@montague.lit"),
            x509.DNSName("*.montague.lit"),
            x509.OtherName(ObjectIdentifier("1.2.3.4"), b"\x0c\x03eve"),
            x509.RFC822Name("romeo@verona.lit"),
        )
        self.assertEqual(
            xmpp_addresses(shown),
            CertifiedAddresses(("romeo@montague.lit",), ("montague.lit", "*.montague.lit")),
        )

    def test_none(self) -> None:
        """A certificate without alternative names speaks for nobody."""
        self.assertEqual(xmpp_addresses(certificate(self.key)), CertifiedAddresses((), ()))

    def test_malformed(self) -> None:
        """An address that is no whole UTF8String names nobody."""
        for der in (
            b"\x0c",
            b"\x0c\x00",
            b"\x0c\x05abc",
            b"\x0c\x02abc",
            b"\x16\x03abc",
            b"\x0c\x82\x00",
            b"\x0c\x84\xff\xff\xff\xffabc",
            b"\x0c\x02\xff\xfe",
        ):
            with self.subTest(der=der):
                try:
                    shown = certificate(self.key, x509.OtherName(XMPP_ADDR, der))
                except ValueError:
                    continue  # No certificate can hold it.
                self.assertEqual(xmpp_addresses(shown).xmpp_addresses, ())

    def test_domains(self) -> None:
        """SNI spells domains in lower-case ASCII."""
        self.assertEqual(ascii_domain("Montague.LIT"), "montague.lit")
        self.assertEqual(ascii_domain("BÜCHER.example"), "xn--bcher-kva.example")
        with self.assertRaises(ValueError):
            ascii_domain("a b.ü")
