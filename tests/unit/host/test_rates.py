"""What has grown in the last minute."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.metrics import Histogram, Metric, Metrics
from xmppd.host.rates import LOOKED_AT_EACH_S, Rates


class RateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics, self.said, self.took_s = Metrics(), 0, Histogram(1.0)
        self.metrics.put(Metric("said", "Said.", "counter", lambda: self.said), "lark")
        self.metrics.put(Metric("there", "There.", "gauge", lambda: 7), "lark")
        self.metrics.put(Metric("took", "Took.", "histogram", lambda: self.took_s), "lark")
        self.rates, self.now = Rates(self.metrics), 1_000.0

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.rates.look(self.now)
            self.now += LOOKED_AT_EACH_S / 5

    def per_minute(self) -> dict[str, float]:
        return self.rates.per_minute(self.now, dict(self.metrics.numbers()))

    def test_counters(self) -> None:
        """Counters and histograms have a rate, gauges have none; before a look nothing has."""
        self.assertEqual((self.per_minute(), self.rates.lately()), ({}, {}))
        self.said = 1_000
        self.wait(120)
        self.said += 90
        self.took_s.observe(0.5)
        found = self.per_minute()
        self.assertEqual(set(found), {"said", "took_count", "took_sum"})
        self.assertTrue(70 < found["said"] <= 90, found)
        self.assertLess(found["took_sum"], found["took_count"])

    def test_last_minute(self) -> None:
        """What was more than a minute ago does not count."""
        self.wait(20)
        self.said = 1_000
        self.wait(90)
        self.assertEqual(self.per_minute()["said"], 0)
        self.assertEqual(self.rates.lately()["said"], 0)

    def test_at_once(self) -> None:
        """A server that has just begun tells what a minute would be."""
        self.wait(2)
        self.now = 1_030.0
        self.said = 10
        self.assertEqual(self.per_minute()["said"], 20)

    def test_lately(self) -> None:
        """What has grown until the latest look is known without looking anew."""
        self.wait(60)
        self.said = 60
        self.wait(12)
        self.said = 1_000_000
        self.assertTrue(50 < self.rates.lately()["said"] <= 72, self.rates.lately())
