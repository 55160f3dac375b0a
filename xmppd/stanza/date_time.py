"""Moments as XMPP writes them (:xep:`0082`)."""

from datetime import UTC, datetime


def date_time(seconds: float) -> str:
    """Seconds since 1970 as a DateTime in UTC, to the second: ``2026-10-31T12:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
