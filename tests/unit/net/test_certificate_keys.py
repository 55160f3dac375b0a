"""What the keys of certificates are called, and cost."""

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from twisted.trial.unittest import SynchronousTestCase

from xmppd.net.certificate_keys import cost_of, kind_of


class KeyTests(SynchronousTestCase):
    def test_kinds(self) -> None:
        """A key is called what administrators call it."""
        for key, kind in (
            (ec.generate_private_key(ec.SECP256R1()), "ECDSA P-256"),
            (ec.generate_private_key(ec.SECP384R1()), "ECDSA P-384"),
            (ed25519.Ed25519PrivateKey.generate(), "Ed25519"),
            (rsa.generate_private_key(65_537, 2_048), "RSA 2048"),
        ):
            self.assertEqual(kind_of(key), kind)

    def test_costs(self) -> None:
        """Only RSA costs something worth a word, and the more the longer the key is."""
        self.assertEqual(cost_of(ec.generate_private_key(ec.SECP256R1())), "")
        self.assertEqual(cost_of(ed25519.Ed25519PrivateKey.generate()), "")
        for bits, times in ((1_024, "1.6 to 2.5"), (2_048, "1.6 to 2.5"), (3_072, "3 to 6")):
            self.assertEqual(
                cost_of(rsa.generate_private_key(65_537, bits)),
                f"a TLS handshake takes {times} times as much CPU time as with ECDSA P-256",
            )
