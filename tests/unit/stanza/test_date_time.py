"""Moments in stanzas."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza.date_time import date_time, exact_date_time, microseconds_of


class DateTimeTests(SynchronousTestCase):
    def test_utc(self) -> None:
        """A moment is written in UTC, whatever the server's zone, and without fractions."""
        self.assertEqual(date_time(0.0), "1970-01-01T00:00:00Z")
        self.assertEqual(date_time(1_700_000_000.9), "2023-11-14T22:13:20Z")

    def test_exact(self) -> None:
        """A moment is written to the microsecond, so that it can be told from the next one."""
        self.assertEqual(exact_date_time(0), "1970-01-01T00:00:00.000000Z")
        self.assertEqual(exact_date_time(1_700_000_000_000_009), "2023-11-14T22:13:20.000009Z")

    @given(st.integers(0, 250_000_000_000_000_000))
    def test_read_again(self, microseconds: int) -> None:
        """What was written is read as the same moment."""
        self.assertEqual(microseconds_of(exact_date_time(microseconds)), microseconds)

    def test_zones(self) -> None:
        """QU-5: A moment may be of any zone, and of any fraction."""
        for text in (
            "2023-11-14T22:13:20.5Z",
            "2023-11-14T23:13:20.500+01:00",
            "2023-11-14T16:43:20.50-05:30",
            "2023-11-14T22:13:20.500000999Z",
            "2023-11-14T22:13:20.500000999999999999999Z",
            "2023-11-15T12:13:20.5+14:00",
        ):
            self.assertEqual(microseconds_of(text), 1_700_000_000_500_000)
        self.assertLess(microseconds_of("1969-12-31T23:59:59Z"), 0)

    def test_none(self) -> None:
        """QU-5: What is no moment is none."""
        for text in (
            "",
            "now",
            "1700000000",
            "2023-11-14",
            "2023-11-14T22:13:20",
            "2023-11-14 22:13:20Z",
            "20231114T22:13:20",
            "2023-13-14T22:13:20Z",
            "2023-02-30T22:13:20Z",
            "2023-11-14T24:13:20Z",
            "0000-01-01T00:00:00Z",
            "2023-11-14T22:13:20.Z",
            "2023-11-14T22:13:20+1:00",
            "2023-11-14T22:13:20+24:00",
            "2023-11-14T22:13:20+01:60",
            "2023-11-14T22:13:20Z\n",
            "٢٠٢٣-11-14T22:13:20Z",
        ):
            self.assertRaises(ValueError, microseconds_of, text)
