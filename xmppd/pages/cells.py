"""Cells: how a page says a value: short enough, with its unit, and harmless (CN-5)."""

import re
from datetime import UTC, datetime

from msgspec import DecodeError, json

MAX_LENGTH = 200
"""The characters of a text that a page shows."""

CUT = "…"

_UNITS = (("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
_SIZES = ("bytes", "KiB", "MiB", "GiB", "TiB")
_SHORT = ("id", "ip", "jid", "tls", "url")
_UNIT_OF_NAME = re.compile(r"_(s|ms|bytes|percent)$")

# What turns the direction of all that follows: it is shown as what it is (UAX #9).
_TURNS = {ord(each): CUT for each in "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e"}
_TURNS |= {ord(each): CUT for each in "\u2066\u2067\u2068\u2069"}


def text(value: object) -> str:
    """A value as a text of one line that is not too long; marks that turn it round are shown as an
    ellipsis. Who shows it isolates its direction.
    """
    found = str(value)
    if len(found) <= MAX_LENGTH and found.isascii() and found.isprintable():
        return found  # as nearly all are
    found = found if len(found) <= MAX_LENGTH else found[: MAX_LENGTH - 1] + CUT
    found = found.translate(_TURNS)
    return "".join(c if c.isprintable() else " " if c.isspace() else CUT for c in found)


def heading(key: str) -> str:
    """What stands above a column, or before a fact; its unit is left to the values."""
    if key in _SHORT:
        return key.upper()
    words = _UNIT_OF_NAME.sub("", key).replace("_", " ").strip() or key
    return words[:1].upper() + words[1:]


def span(seconds: float) -> str:
    """A time in its two largest units."""
    left, found = max(0, round(seconds)), list[str]()
    for unit, size_s in _UNITS:
        if left >= size_s or (unit == "s" and not found):
            found.append(f"{left // size_s} {unit}")
        left %= size_s
    return " ".join(found[:2])


def size(count: float) -> str:
    """A number of bytes in the unit that suits it."""
    value, unit = float(count), _SIZES[0]
    for unit in _SIZES:
        if value < 1024 or unit == _SIZES[-1]:
            break
        value /= 1024
    return f"{value:,.0f} {unit}" if unit == _SIZES[0] else f"{value:,.1f} {unit}"


def number(value: float) -> str:
    """A number with its thousands apart."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.1f}" if abs(value) >= 100 else f"{value:.3g}"


def arguments(told: str) -> str:
    """What a command was told, as the audit has it, in words; what was hidden is left out."""
    try:
        found = json.decode(told, type=dict[str, object])
    except DecodeError:
        return text(told)  # it was too long, and cut
    words = (
        key if value in ("", True) else f"{key} {_in_words(value)}"
        for key, value in found.items()
        if value != CUT
    )
    return text(", ".join(words))


def _in_words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def moment(stamp: float) -> str:
    """A time in seconds since 1970, to the minute, in UTC."""
    return datetime.fromtimestamp(stamp, UTC).strftime("%Y-%m-%d %H:%M")


__all__ = ["CUT", "MAX_LENGTH", "arguments", "heading", "moment", "number", "size", "span", "text"]
