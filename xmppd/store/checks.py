"""Checks of the values in columns.

A row need not be: disks fail, and SQLite keeps any value in any column. A wrong value raises
:class:`~xmppd.store.errors.Unreadable`, which names the column. A text must be one that can stand
in XML, since most of them leave the server in it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeVar

from msgspec import MsgspecError, json

from xmppd.stanza.xml import find_unwritable
from xmppd.store.errors import Unreadable

MAX_CACHED_NAMES = 1_000

T = TypeVar("T")
FLAGS = frozenset((0, 1))
_MAX_SECONDS = 253_402_300_799
"""The last moment of the year 9999: later ones cannot be written as a date."""

_names_decoder = json.Decoder(tuple[str, ...])


def unreadable(column: str, why: str) -> Unreadable:
    """The error for a column."""
    return Unreadable(f"{column}: {why}", field=column)


def check_text(column: str, value: str, *, in_xml: bool = True) -> str:
    """The value, if it is a text; one that can stand in XML, unless that is not asked for."""
    if type(value) is not str:
        raise unreadable(column, "is not text")
    if in_xml and not value.isprintable() and find_unwritable(value):
        raise unreadable(column, "has characters that XML does not allow")
    return value


def check_bytes(column: str, value: bytes) -> bytes:
    """The value, if it is bytes."""
    if type(value) is not bytes:
        raise unreadable(column, "is not bytes")
    return value


def check_integer(column: str, value: int) -> int:
    """The value, if it is a whole number."""
    if type(value) is not int:
        raise unreadable(column, "is not an integer")
    return value


def check_flag(column: str, value: bool) -> bool:
    """The value, if it is true or false."""
    if value not in FLAGS:
        raise unreadable(column, "is neither true nor false")
    return bool(value)


def check_moment(column: str, value: float) -> float:
    """The value, if it is a time in seconds since 1970 that can be written as a date."""
    if type(value) not in (float, int) or not 0 <= value <= _MAX_SECONDS:
        raise unreadable(column, "is not within the years 1970 to 9999")
    return value


def json_text(value: object) -> str:
    """A value as text for a column of JSON."""
    return json.encode(value).decode()


def json_value(column: str, text: str, decoder: json.Decoder[T]) -> T:
    """The value of a column of JSON."""
    try:
        return decoder.decode(text)
    except (MsgspecError, ValueError, TypeError) as error:
        raise unreadable(column, str(error)) from error


@lru_cache(maxsize=MAX_CACHED_NAMES)
def names_of_text(text: str) -> tuple[str, ...]:
    """The names of groups in one column, kept since most contacts are in the same few."""
    names = json_value("groups", text, _names_decoder)
    for name in names:
        check_text("groups", name)
    return names


def names_to_text(names: Sequence[str]) -> str:
    """The names of groups as text for one column."""
    return json_text(names)


NO_GROUPS = names_to_text(())

__all__ = [
    "FLAGS",
    "NO_GROUPS",
    "check_bytes",
    "check_flag",
    "check_integer",
    "check_moment",
    "check_text",
    "json_text",
    "json_value",
    "names_of_text",
    "names_to_text",
    "unreadable",
]
