"""Moments as XMPP writes them (:xep:`0082`)."""

import re
from calendar import timegm
from datetime import UTC, datetime
from functools import lru_cache
from math import ceil

MICROSECONDS = 1_000_000
"""In a second."""

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:Z|([+-])(0[0-9]|1[0-4]):([0-5][0-9]))\Z"
).match


def date_time(seconds: float) -> str:
    """Seconds since 1970 as a DateTime in UTC, to the second: ``2026-10-31T12:00:00Z``."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def to_the_minute(seconds: float) -> str:
    """Seconds since 1970 as people write them, to the minute that has begun by then:
    ``2026-10-31 12:00 UTC``.
    """
    return datetime.fromtimestamp(ceil(seconds / 60) * 60, UTC).strftime("%Y-%m-%d %H:%M UTC")


def exact_date_time(microseconds: int) -> str:
    """Microseconds since 1970 as a DateTime in UTC: ``2026-10-31T12:00:00.000001Z``."""
    seconds, rest = divmod(microseconds, MICROSECONDS)
    return f"{_to_the_second(seconds)}.{rest:06}Z"


@lru_cache(256)  # a page of messages is of few seconds
def _to_the_second(seconds: int) -> str:
    return date_time(seconds)[:-1]


def microseconds_of(text: str) -> int:
    """Microseconds since 1970 of a DateTime in any zone; what is finer is cut off.

    A fraction of a second has any number of digits (:xep:`0082`, section 3.1), and no zone is more
    than 14 hours and 59 minutes from UTC.

    Raises:
        ValueError: It is none.
    """
    found = _DATE_TIME(text)
    if found is None:
        raise ValueError("write a time as 2026-10-31T12:00:00Z")
    *parts, fraction, sign, hours, minutes = found.groups()
    year, month, day, hour, minute, second = map(int, parts)
    seconds = timegm(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timetuple())
    if sign:
        ahead_s = (int(hours) * 60 + int(minutes)) * 60
        seconds -= ahead_s if sign == "+" else -ahead_s
    return seconds * MICROSECONDS + int((fraction or "")[:6].ljust(6, "0"))
