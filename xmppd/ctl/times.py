"""Times as commands show them."""

from xmppd.stanza.date_time import date_time


def iso(seconds: float | None) -> str | None:
    """A time, for people and programs."""
    return None if seconds is None else date_time(seconds)


__all__ = ["iso"]
