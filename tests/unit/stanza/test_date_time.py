"""Moments in stanzas."""

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza.date_time import date_time


class DateTimeTests(SynchronousTestCase):
    def test_utc(self) -> None:
        """A moment is written in UTC, whatever the server's zone, and without fractions."""
        self.assertEqual(date_time(0.0), "1970-01-01T00:00:00Z")
        self.assertEqual(date_time(1_700_000_000.9), "2023-11-14T22:13:20Z")
