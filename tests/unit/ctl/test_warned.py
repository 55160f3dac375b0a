"""What a start, a reload and config check warn of."""

from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.net.test_certificate import certificate, pem_key
from xmppd.config.config import Config, DomainSettings, TLSSettings
from xmppd.ctl.warned import remarks, warnings
from xmppd.host.clocks import Clocks, wall_clock
from xmppd.net.certificate import make_self_signed
from xmppd.net.tls import TLS
from xmppd.testing.house import house_config

YEAR_S = 365 * 86_400.0


def rsa_identity(name: str) -> bytes:
    """A certificate with an RSA key, and the key, for a file of both."""
    key = rsa.generate_private_key(65_537, 2_048)
    shown = certificate(key, x509.DNSName(name), end=timedelta(days=90))
    return shown.public_bytes(Encoding.PEM) + pem_key(key)


class WarningsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(self.mktemp()).absolute()
        self.directory.mkdir(mode=0o700)
        self.path = self.directory / "xmppd.toml"

    def warned(self, config: Config, tls: TLS | None = None, *, later_s: float = 0.0) -> list[str]:
        """What is warned of, at some time."""
        clocks = Clocks(lambda: 0.0, lambda: wall_clock() + later_s)
        return warnings(self.path, replace(config, data=str(self.directory)), tls, clocks)

    def test_nothing(self) -> None:
        """A usual configuration has nothing to warn of."""
        contact = {"abuse": ("mailto:abuse@a.lit", "xmpp:friar@a.lit", "https://a.lit/abuse")}
        self.assertEqual(self.warned(house_config("a.lit", contact=contact)), [])

    def test_options(self) -> None:
        """Options that work, and are hardly meant so, are named with their lines, and with what to
        write.
        """
        config = house_config(
            "a.lit",
            contact={"abuse": ("friar@a.lit",), "support": ("call us",)},
            stream={"stanzas_per_s": 1e12},
            plugins={"directory": str(self.directory / "nowhere")},
        )
        self.path.write_text(
            '[contact]\nabuse = ["friar@a.lit"]\nsupport = ["call us"]\n'
            "[stream]\nstanzas_per_s = 1e12\n"
        )
        self.assertEqual(
            self.warned(config),
            [
                (f'{self.path}:2: contact.abuse: "friar@a.lit" is not a URI that clients can open; '
                 'write it as "mailto:friar@a.lit"'),
                (f'{self.path}:3: contact.support: "call us" is not a URI that clients can open; '
                 'write it as "mailto:abuse@example.org"'),
                (f"{self.path}:5: stream.stanzas_per_s is 1,000,000,000,000, which limits nothing; "
                 "choose a smaller number"),
                (f"{self.path}: plugins.directory {self.directory}/nowhere does not exist; "
                 "create it, or remove the option"),
            ],
        )  # fmt: skip

    def test_secrets(self) -> None:
        """A file with secrets that others may read is named with the option that names it."""
        key = self.directory / "b.key"
        key.write_text("")
        key.chmod(0o644)
        domains = (DomainSettings(name="a.lit"), DomainSettings(name="b.lit", key=str(key)))
        self.path.write_text('[[domain]]\nname="a.lit"\n[[domain]]\nname="b.lit"\nkey="b.key"\n')
        config = replace(house_config("x.lit"), domain=domains)
        (said,) = self.warned(config)
        self.assertEqual(
            said, f"{self.path}:5: others may read {key}, which holds secrets; run: chmod o-r {key}"
        )

    def test_what_costs(self) -> None:
        """A certificate with an RSA key is named with what that costs, and not warned of."""
        (self.directory / "rsa.pem").write_bytes(rsa_identity("a.lit"))
        make_self_signed("b.lit", self.directory / "b.crt", self.directory / "b.key")
        domains = (
            DomainSettings(name="a.lit", certificate=str(self.directory / "rsa.pem")),
            DomainSettings(
                name="b.lit",
                certificate=str(self.directory / "b.crt"),
                key=str(self.directory / "b.key"),
            ),
        )
        config = replace(house_config("x.lit"), domain=domains)
        tls = TLS(TLSSettings(), domains)
        (said,) = remarks(self.path, config, tls)
        self.assertEqual(
            said,
            f"{self.path}: the certificate of a.lit has the key RSA 2048: a TLS handshake takes "
            "1.6 to 2.5 times as much CPU time as with ECDSA P-256",
        )
        (self.directory / "rsa.pem").chmod(0o600)
        self.assertFalse(any("RSA" in said for said in self.warned(config, tls)))

    def test_certificates(self) -> None:
        """A certificate that ends soon is named."""
        files = self.directory / "a.crt", self.directory / "a.key"
        make_self_signed("a.lit", *files)
        for name, later_s, says in (
            ("a.lit", 0.0, []),
            (
                "a.lit",
                20 * YEAR_S,
                ["the certificate of a.lit (for a.lit) expired on "],
            ),
        ):
            domain = DomainSettings(name=name, certificate=str(files[0]), key=str(files[1]))
            config = replace(house_config("x.lit"), domain=(domain,))
            found = self.warned(config, TLS(TLSSettings(), config.domain), later_s=later_s)
            self.assertEqual(len(found), len(says))
            for said, begins in zip(found, says, strict=True):
                self.assertTrue(said.startswith(f"{self.path}: {begins}"), said)
