"""Parts of sentences."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza.phrases import counted, listed


class PhraseTests(SynchronousTestCase):
    def test_counted(self) -> None:
        """One thing and many, of which there may be millions or halves."""
        for count, said in (
            (0, "0 days"),
            (1, "1 day"),
            (1.0, "1 day"),
            (0.5, "0.5 days"),
            (12_345_678, "12345678 days"),
        ):
            self.assertEqual(counted(count, "day"), said)
        self.assertEqual(counted(2, "entry", "entries"), "2 entries")

    def test_listed(self) -> None:
        """One name, two and three."""
        self.assertEqual(listed(["a"]), "a")
        self.assertEqual(listed(["a", "b"]), "a and b")
        self.assertEqual(listed(["a", "b", "c"]), "a, b and c")
