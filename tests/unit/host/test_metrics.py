"""Metrics by themselves."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.host.metrics import Histogram, Label, Metric, Metrics, Reading

KIND = Label("kind", ("message", "presence"))
WAY = Label("way", ("in", "out"))


class MetricsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()

    def put(self, reading: Reading, *labels: Label, kind: str = "counter") -> None:
        """Have one metric with this reading."""
        metric = Metric("stanzas", "Stanzas.", kind, lambda: reading, labels=labels)  # type: ignore[arg-type]
        self.metrics.put(metric, "lark")

    def test_unit(self) -> None:
        """The unit is part of the name."""
        self.metrics.put(Metric("read", "Read.", "counter", lambda: 7, "bytes"), "lark")
        self.assertEqual(dict(self.metrics.numbers()), {"read_bytes": 7})

    def test_labels(self) -> None:
        """Each combination of labels is a number of its own."""
        self.put({("message", "in"): 1, ("presence", "out"): 2}, KIND, WAY)
        expected = {"stanzas{kind=message,way=in}": 1, "stanzas{kind=presence,way=out}": 2}
        self.assertEqual(dict(self.metrics.numbers()), expected)

    def test_histogram(self) -> None:
        """A histogram counts by size; what is as large as a bound is below it."""
        histogram = Histogram(0.1, 1.0)
        for value in (0.05, 0.1, 0.5, 2.0):
            histogram.observe(value)
        self.put(histogram, kind="histogram")
        self.assertEqual(histogram.counts, [2, 1, 1])
        self.assertEqual(dict(self.metrics.numbers()), {"stanzas_count": 4, "stanzas_sum": 2.65})

    def test_closed(self) -> None:
        """A value that its label never has is a fault of the one who counts, and not shown."""
        for reading, labels in (
            ({("iq",): 1}, (KIND,)),
            ({("message", "in"): 1}, (KIND,)),
            ({(): Histogram()}, ()),
        ):
            with self.subTest(reading):
                self.metrics = Metrics()
                self.put(reading, *labels)  # type: ignore[arg-type]
                self.assertEqual(list(self.metrics.numbers()), [])
                self.assertEqual(len(self.flushLoggedErrors(ValueError, TypeError)), 1)

    def test_refused(self) -> None:
        """A metric has a plain name, a help, and labels with values; each name is there once."""
        self.put(1)
        for metric, why in (
            (Metric("stanzas", "Again.", "gauge", lambda: 1), "a metric stanzas already exists"),
            (Metric("Stanzas", "Large.", "gauge", lambda: 1), "is not a valid name"),
            (Metric("mute", "", "gauge", lambda: 1), "has no help text"),
            (Metric("a", "A.", "gauge", lambda: 1, labels=(Label("b", ()),)), "without values"),
            (
                Metric("a", "A.", "gauge", lambda: 1, labels=(Label("b c", ("d",)),)),
                "is not a valid name",
            ),
        ):
            with self.subTest(why):
                self.assertIn(
                    why, str(self.assertRaises(ValueError, self.metrics.put, metric, "x"))
                )
