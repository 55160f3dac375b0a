"""What is remembered of the ways that were tried."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.resolve.attempts import MAX_DOMAINS, MAX_STEPS, MAX_TEXT, Attempts


class AttemptsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts = Attempts(self.clock, lambda: 1_700_000_000.0)

    def test_step(self) -> None:
        """A step is seen while it lasts, and then how it ended and how long it took."""
        ended = self.attempts.begin("montague.lit", "lookup", "montague.lit A")
        (step,) = self.attempts.of("montague.lit")
        self.assertEqual((step.outcome, step.ms), ("under way", None))
        self.clock.advance(0.25)
        ended("192.0.2.1")
        self.assertEqual((step.at, step.outcome, step.ms), (1_700_000_000.0, "192.0.2.1", 250.0))

    def test_unknown(self) -> None:
        """Of a domain that nobody asked for there is nothing to tell."""
        self.assertEqual(self.attempts.of("montague.lit"), ())

    def test_steps_are_bounded(self) -> None:
        """Of a domain that fails day and night the latest steps are kept."""
        for n in range(MAX_STEPS + 5):
            self.attempts.note("montague.lit", "connect", str(n), "refused")
        kept = [step.what for step in self.attempts.of("montague.lit")]
        self.assertEqual(kept, [str(n) for n in range(5, MAX_STEPS + 5)])

    def test_texts_are_bounded(self) -> None:
        """Of what a stranger's DNS says the beginning is kept."""
        self.attempts.note("montague.lit", "lookup", "w" * 10_000, "o" * 10_000)
        (step,) = self.attempts.of("montague.lit")
        self.assertEqual((len(step.what), len(step.outcome)), (MAX_TEXT, MAX_TEXT))

    def test_domains_are_bounded(self) -> None:
        """Of very many domains, those that were tried last are kept."""
        for n in range(MAX_DOMAINS):
            self.attempts.note(f"{n}.lit", "lookup", "", "")
        self.attempts.note("0.lit", "lookup", "", "")
        self.attempts.note("montague.lit", "lookup", "", "")
        domains = self.attempts.domains()
        self.assertEqual(len(domains), MAX_DOMAINS)
        self.assertEqual(domains[-2:], ("0.lit", "montague.lit"))
        self.assertNotIn("1.lit", domains)
