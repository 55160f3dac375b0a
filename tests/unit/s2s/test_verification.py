"""What a certificate proves about another server."""

import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.towns import DAY, Authority, srv_name, xmpp_address
from xmppd.net.certificate import load_authorities
from xmppd.s2s.verification import Trust


class VerificationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.authority = Authority(self.directory)
        self.now = self.authority.now.timestamp()
        self.trust = Trust(load_authorities(self.authority.file), lambda: self.now)

    def chain(self, table: dict[str, str]) -> Sequence[x509.Certificate]:
        return x509.load_pem_x509_certificates(Path(table["certificate"]).read_bytes())

    def flaw(self, domain: str, *names: x509.GeneralName, **how: object) -> str:
        """What is wrong with a certificate for these names, if it shall prove a domain."""
        table = self.authority.sign(domain, *names, **how)  # type: ignore[arg-type]
        return self.trust.proof(self.chain(table)).flaw_for(domain)

    def test_names(self) -> None:
        """Hosts, a star in front, services and XMPP addresses name a domain (SV-3)."""
        for domain, name in (
            ("verona.lit", x509.DNSName("verona.lit")),
            ("verona.lit", x509.DNSName("Verona.LIT")),
            ("chat.verona.lit", x509.DNSName("*.verona.lit")),
            ("verona.lit", srv_name("verona.lit")),
            ("verona.lit", xmpp_address("verona.lit")),
            ("bücher.example", x509.DNSName("xn--bcher-kva.example")),
            ("bücher.example", xmpp_address("Bücher.example")),
            ("bücher.example", srv_name("bücher.example")),
        ):
            with self.subTest(domain=domain, name=str(name)):
                self.assertEqual(self.flaw(domain, name), "")

    def test_other_names(self) -> None:
        """A star is one label, never a part of one, nor a whole top level; others are others."""
        for domain, name in (
            ("verona.lit", x509.DNSName("mantua.lit")),
            ("verona.lit", x509.DNSName("a.verona.lit")),
            ("verona.lit", x509.DNSName("*.verona.lit")),
            ("a.b.verona.lit", x509.DNSName("*.verona.lit")),
            ("verona.lit", x509.DNSName("*.lit")),
            ("chat.verona.lit", x509.DNSName("c*.verona.lit")),
            ("verona.lit", xmpp_address("romeo@verona.lit")),
            ("verona.lit", srv_name("mantua.lit")),
        ):
            with self.subTest(domain=domain, name=str(name)):
                self.assertEqual(self.flaw(domain, name), "the certificate is for other names")

    def test_uses(self) -> None:
        """For a server's use, for a client's, or not said: each will do; not for signing code."""
        for use in (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH, None):
            self.assertEqual(self.flaw("verona.lit", use=use), "")
        flaw = self.flaw("verona.lit", use=ExtendedKeyUsageOID.CODE_SIGNING)
        self.assertEqual(flaw, "the certificate is for other uses")

    def test_intermediate(self) -> None:
        """The chain may be longer, also where what is between is for servers only."""
        middle = self.authority.appoint("middle", use=ExtendedKeyUsageOID.SERVER_AUTH)
        chain = self.chain(middle.sign("verona.lit"))
        self.assertEqual(len(chain), 2)
        self.assertEqual(self.trust.proof(chain).flaw_for("verona.lit"), "")
        self.assertIn("invalid", self.trust.proof(chain[:1]).flaw_for("verona.lit"))

    def test_time(self) -> None:
        """A certificate is valid for a time."""
        self.assertIn("invalid", self.flaw("verona.lit", lasts=timedelta(days=-1)))
        chain = self.chain(self.authority.sign("verona.lit"))
        self.now += 2 * DAY.total_seconds()
        self.assertIn("invalid", self.trust.proof(chain).flaw_for("verona.lit"))

    def test_strangers(self) -> None:
        """Whom we do not trust signs in vain; and who shows nothing proves nothing."""
        other = Authority(self.directory, "other")
        proof = self.trust.proof(self.chain(other.sign("verona.lit")))
        self.assertIn("invalid", proof.flaw_for("verona.lit"))
        self.assertEqual(
            self.trust.proof(()).flaw_for("verona.lit"), "the other server sent no certificate"
        )

    def test_not_an_authority(self) -> None:
        """A server's certificate signs no other server's."""
        false = self.authority.appoint("false", is_authority=False)
        chain = self.chain(false.sign("verona.lit"))
        self.assertIn("invalid", self.trust.proof(chain).flaw_for("verona.lit"))

    def test_terse_authority(self) -> None:
        """An authority need not say what its key may be used for: OpenSSL's command line makes such
        ones, and other servers trust them.
        """
        terse = Authority(self.directory, "terse", says_what_for=False)
        middle = Authority(self.directory, "middle", terse, says_what_for=False)
        trust = Trust(load_authorities(terse.file), lambda: self.now)
        for signer in (terse, middle):
            chain = self.chain(signer.sign("verona.lit"))
            self.assertEqual(trust.proof(chain).flaw_for("verona.lit"), "")

    def test_authority_of_other_use(self) -> None:
        """An authority that says that its key is for something else signs in vain, and so does one
        below an authority that may have none below it.
        """
        cases = (
            (Authority(self.directory, "mute", signs=False), 0),
            (Authority(self.directory, "last", below=0), 1),
        )
        for root, number_below in cases:
            trust = Trust(load_authorities(root.file), lambda: self.now)
            signer = root.appoint("below") if number_below else root
            self.assertIn("invalid", trust.proof(self.chain(signer.sign("verona.lit"))).flaw)

    def test_no_names(self) -> None:
        """The subject's common name is no name of a server any more."""
        chain = self.chain(self.authority.sign("verona.lit", named=False))
        self.assertIn("invalid", self.trust.proof(chain).flaw_for("verona.lit"))

    def test_this_machine(self) -> None:
        """Without a file of our own, the machine's authorities count; ours is none of them."""
        trust = Trust(None, lambda: self.now)
        proof = trust.proof(self.chain(self.authority.sign("verona.lit")))
        self.assertNotEqual(proof.flaw_for("verona.lit"), "")

    def test_bad_one_of_this_machine(self) -> None:
        """An authority of the machine that cannot be read is no reason to trust none of them."""
        bad = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        self.authority.file.write_text(bad + self.authority.file.read_text())
        paths = ssl.get_default_verify_paths()._replace(cafile=str(self.authority.file))
        self.patch(ssl, "get_default_verify_paths", lambda: paths)
        proof = Trust(None, lambda: self.now).proof(self.chain(self.authority.sign("verona.lit")))
        self.assertEqual(proof.flaw_for("verona.lit"), "")

    def test_bad_file(self) -> None:
        """A file of authorities that cannot be read is told at start."""
        bad = self.directory / "bad.pem"
        for text in (None, "nonsense"):
            if text is not None:
                bad.write_text(text)
            with self.assertRaises(ValueError) as caught:
                load_authorities(bad)
            self.assertTrue(str(caught.exception).startswith(str(bad)))
