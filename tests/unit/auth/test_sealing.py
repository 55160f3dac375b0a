"""What the store keeps of other people's secrets."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.auth.sealing import Sealing


class SealingTests(SynchronousTestCase):
    """Sealing."""

    def test_there_and_back(self) -> None:
        """What was sealed is had back after a restart, and is never sealed alike."""
        sealing = Sealing(b"rosebud")
        sealed = sealing.seal("tokens", b"moonlight")
        self.assertNotIn(b"moonlight", sealed)
        self.assertNotEqual(sealing.seal("tokens", b"moonlight"), sealed)
        self.assertEqual(Sealing(b"rosebud").unseal("tokens", sealed), b"moonlight")

    def test_of_no_use(self) -> None:
        """It is nothing with another secret, for another purpose, changed or cut."""
        sealing = Sealing(b"rosebud")
        sealed = sealing.seal("tokens", b"moonlight")
        changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
        self.assertIsNone(Sealing(b"moon").unseal("tokens", sealed))
        self.assertIsNone(sealing.unseal("slots", sealed))
        for text in (changed, sealed[:-1], sealed[:12], sealed[:5], b""):
            self.assertIsNone(sealing.unseal("tokens", text))


__all__ = ["SealingTests"]
