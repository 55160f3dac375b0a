"""Coming in: registration, every mechanism, and certificates of both sides."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from slixmpp import Iq
from slixmpp.exceptions import IqError

from tests.integration.people import PASSWORD, Person, Refused, ServerCase, people
from tests.integration.raw_client import RawClient
from tests.unit.auth.support import ScramClient
from xmppd.net.certificate import XMPP_ADDR
from xmppd.testing.process import ServerProcess

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN")
PLUS = ("SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")


class PasswordTests(ServerCase):
    domains = ("verona.lit", "capulet.lit", "münchen.lit")

    @people
    async def test_mechanisms(self) -> None:
        """Each mechanism lets one in with STARTTLS and with TLS from the first byte."""
        address = self.account("romeo")
        for direct_tls in (False, True):
            for mechanism in MECHANISMS:
                person = self.person(address, mechanism=mechanism, direct_tls=direct_tls)
                await person.arrive()
                self.assertEqual(person["feature_mechanisms"].mech.name, mechanism)

    @people
    async def test_unicode(self) -> None:
        """Names and passwords may be in any script."""
        address = self.server.add_user("джульетта", "роза пахнет розой")
        for mechanism in MECHANISMS:
            await self.person(address, "роза пахнет розой", mechanism=mechanism).arrive()

    @people
    async def test_refused(self) -> None:
        """With a wrong password, or a name that is nobody's, one is not let in."""
        address = self.account("romeo")
        for mechanism in MECHANISMS:
            for who in (address, "nobody@verona.lit"):
                person = self.person(who, "a thorn", mechanism=mechanism)
                with self.assertRaises(Refused):
                    await person.log_in()
                await person.expect("failure", condition="not-authorized")

    @people
    async def test_domains(self) -> None:
        """Each domain shows its own certificate, and has accounts of its own."""
        for domain in self.domains:
            address = self.server.add_user(f"nurse@{domain}", PASSWORD)
            for direct_tls in (False, True):
                person = await self.person(address, direct_tls=direct_tls).arrive()
                self.assertEqual(person.boundjid.domain, domain)
        tybalt = self.server.add_user("tybalt@capulet.lit", PASSWORD)
        with self.assertRaises(Refused):
            await self.person(tybalt.replace("capulet", "verona"), mechanism="PLAIN").log_in()

    def test_plus(self) -> None:
        """SCRAM is bound to the TLS connection, by each kind of binding that this TLS has."""
        address = self.account("romeo")
        for version, bindings in (
            (SSL.TLS1_3_VERSION, ["tls-exporter", "tls-server-end-point"]),
            (SSL.TLS1_2_VERSION, ["tls-server-end-point"]),
        ):
            for mechanism in PLUS:
                for binding in bindings:
                    self.assertEqual(
                        self.bound(address, mechanism, binding, version=version), ("success", b"")
                    )

    def test_man_in_the_middle(self) -> None:
        """Bound to another TLS connection than ours, the right password does not help."""
        address = self.account("romeo")
        for mechanism in PLUS:
            for binding in ("tls-exporter", "tls-server-end-point"):
                self.assertEqual(
                    self.bound(address, mechanism, binding, twist=b"another"),
                    ("failure", b"not-authorized"),
                )

    def test_old_binding(self) -> None:
        """Who knows only a binding that TLS 1.3 does not have gets as far as PLAIN on one stream,
        as slixmpp of Debian 12 does; no mechanism may be tried again and again (AT-7).
        """
        address = self.account("romeo")
        client = RawClient(self.server)
        self.addCleanup(client.close)
        hello = f"n={address.partition('@')[0]},r=abc"
        for mechanism in (*PLUS, *MECHANISMS[:3]):
            header = "p=tls-unique,," if mechanism in PLUS else "y,,"
            answer = client.authenticate(mechanism, (header + hello).encode())
            self.assertEqual(answer, ("failure", b"not-authorized"))
        plain = f"\0{address.partition('@')[0]}\0{PASSWORD}".encode()
        self.assertEqual(client.authenticate("PLAIN", plain)[0], "success")
        client = RawClient(self.server)
        self.addCleanup(client.close)
        for _ in range(4):
            client.authenticate(PLUS[0], f"p=tls-unique,,{hello}".encode())
        self.assertIn(b"policy-violation", client.until(b"</stream:stream>"))

    def bound(
        self,
        address: str,
        mechanism: str,
        binding: str,
        *,
        version: int = SSL.TLS1_3_VERSION,
        twist: bytes = b"",
    ) -> tuple[str, bytes]:
        """What comes of a login that is bound."""
        client = RawClient(self.server, version=version)
        self.addCleanup(client.close)
        self.assertIn(f"<channel-binding type='{binding}'/>".encode(), client.features)
        scram = ScramClient(
            mechanism.removeprefix("SCRAM-").removesuffix("-PLUS"),
            username=address.partition("@")[0],
            password=PASSWORD,
            gs2_header=f"p={binding},,",
            channel=binding_of(client.tls, binding) + twist,
        )
        answer, text = client.authenticate(mechanism, scram.first())
        self.assertEqual(answer, "challenge")
        answer, text = client.respond(scram.final(text))
        if answer == "success":
            self.assertTrue(scram.accepts(text))
            text = b""
        return answer, text


def binding_of(tls: SSL.Connection, binding: str) -> bytes:
    """What SCRAM is bound to (:rfc:`9266`, :rfc:`5929#section-4`)."""
    if binding == "tls-exporter":
        return tls.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    certificate = tls.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.fingerprint(hashes.SHA256())


class RegistrationTests(ServerCase):
    @people
    async def test_register(self) -> None:
        """A stranger makes an account and is in; another one finds the name taken."""
        for direct_tls in (False, True):
            address = f"romeo{int(direct_tls)}@verona.lit"
            romeo = self.stranger(address, PASSWORD, direct_tls=direct_tls)
            await romeo.arrive()
            self.assertTrue(romeo.form["register"]["instructions"])
            await romeo.leave()
            thief = self.stranger(address, "another password", direct_tls=direct_tls)
            with self.assertRaises(Refused):
                await thief.log_in()
            self.assertEqual(thief.error.condition, "conflict")
            await self.person(address).arrive()

    @people
    async def test_short_password(self) -> None:
        """A password that is too short is refused with words."""
        romeo = self.stranger("mercutio@verona.lit", "plague")
        with self.assertRaises(Refused):
            await romeo.log_in()
        self.assertEqual(romeo.error.condition, "not-acceptable")
        self.assertIn("longer", romeo.error.text)

    def stranger(self, address: str, password: str, **how: bool) -> "Stranger":
        """Somebody without an account."""
        stranger = Stranger(self.server, address, password, **how)
        self.present.append(stranger)
        return stranger


class Stranger(Person):
    """Somebody who registers before login.

    Attributes:
        form: What was to be filled in.
        error: Why it was refused.
    """

    form: Iq
    error: IqError

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_event_handler("register", self._register)

    async def _register(self, form: Iq) -> None:
        self.form = form
        iq = self.make_iq_set()
        iq["register"]["username"] = self.boundjid.user
        iq["register"]["password"] = self.password
        try:
            await iq.send()
        except IqError as error:
            self.error = error
            self.abort()


class CertificateTests(ServerCase):
    """SASL EXTERNAL."""

    ca: "ClassVar[Authority]"

    @classmethod
    def make(cls, directory: Path) -> ServerProcess:
        cls.ca = Authority(directory)
        cls.settings = {
            "tls": {"client_ca": str(cls.ca.path)},
            "auth": {"mechanisms": ["EXTERNAL", "SCRAM-SHA-256"]},
        }
        return super().make(directory)

    @people
    async def test_certificate(self) -> None:
        """Whom a certificate names is let in without a password."""
        address = self.account("romeo")
        for direct_tls in (False, True):
            romeo = self.person(address, "", mechanism="EXTERNAL", direct_tls=direct_tls)
            romeo.certfile, romeo.keyfile = self.ca.sign(address)
            await romeo.arrive()
            self.assertEqual(romeo.boundjid.bare, address)

    @people
    async def test_somebody_else(self) -> None:
        """A certificate lets nobody else in, and neither does one of a stranger's authority."""
        address = self.account("romeo")
        strange = self.server.directory / "strange"
        strange.mkdir()
        for authority, name in ((self.ca, "tybalt@verona.lit"), (Authority(strange), address)):
            person = self.person(address, "", mechanism="EXTERNAL")
            person.certfile, person.keyfile = authority.sign(name)
            with self.assertRaises(Refused):
                await person.log_in()

    @people
    async def test_password_instead(self) -> None:
        """Who has no certificate logs in by password, and is not offered EXTERNAL."""
        romeo = await self.person(self.account("romeo")).arrive()
        self.assertEqual(romeo["feature_mechanisms"].mech_list, {"SCRAM-SHA-256"})


class GuestTests(ServerCase):
    settings = {"auth": {"mechanisms": ["SCRAM-SHA-256", "ANONYMOUS"]}}

    @people
    async def test_anonymous(self) -> None:
        """A guest is let in as nobody in particular, and each as somebody else."""
        guests = [await self.person("verona.lit", mechanism="ANONYMOUS").arrive() for _ in "ab"]
        addresses = {guest.boundjid.bare for guest in guests}
        self.assertEqual(len(addresses), 2)
        romeo = await self.person(self.account("romeo")).arrive()
        guests[0].say(romeo.boundjid.full, "which way to the ball?")
        await romeo.expect("message", sender=guests[0].boundjid)


class Authority:
    """Signs certificates for clients.

    Attributes:
        path: Its own certificate.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / "authority.crt"
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = name("an authority")
        public_key = self._key.public_key()
        builder = self._builder(self._name, public_key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self._write(self.path, builder)

    def sign(self, address: str) -> tuple[str, str]:
        """A certificate for an address, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        chain_file = self._directory / f"{address}.crt"
        key_file = chain_file.with_suffix(".key")
        text = address.encode()
        names = x509.SubjectAlternativeName(
            [x509.OtherName(XMPP_ADDR, bytes((0x0C, len(text))) + text)]
        )
        builder = self._builder(name(address), key.public_key())
        self._write(chain_file, builder.add_extension(names, critical=False))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(chain_file), str(key_file)

    def _builder(
        self, subject: x509.Name, public_key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=public_key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(hours=1),
            not_valid_after=now + timedelta(days=1),
        )

    def _write(self, path: Path, builder: x509.CertificateBuilder) -> None:
        certificate = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def name(text: str) -> x509.Name:
    """A name in a certificate."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
