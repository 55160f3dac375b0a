"""The text of the file as TOML, and what is said where it is none."""

import re
import tomllib
from typing import Any

from msgspec.structs import fields

from xmppd.config.config import Config
from xmppd.config.section import section_of
from xmppd.config.table import ConfigError

MAX_SHOWN = 80
"""Letters of a key that are shown."""

_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_TWICE = re.compile(r"Cannot (?:declare|mark) .*? twice|Cannot overwrite a value|.*already exists")
_OTHER_WORDS = (
    ("Illegal character", "a string is not closed, or contains a character that is not allowed"),
    ("Unterminated", "a string, an array or a table is not closed"),
    ("Expected '=' after a key", "expected `key = value`"),
    ("Invalid value", 'expected a value, such as "text", 10 or true'),
    (
        "Invalid statement",
        "expected `key = value`, a [table], or a comment that begins with #",
    ),
    ("Unescaped '\\\\'", "write each backslash twice, or put the text between single quotes"),
    ("Expected newline", "a line can have only one `key = value`"),
)
"""What the reader of TOML says, and what that means."""


def parsed(text: str) -> dict[str, Any]:
    """The tables of the file.

    Raises:
        ConfigError: It is not TOML, or has a table as it is not written.
    """
    if text.startswith("\ufeff"):
        raise ConfigError("the file begins with a byte order mark; save it as UTF-8 without one.")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_said(text, str(error))) from None
    for name in _arrays():
        if isinstance(table.get(name), dict):
            raise ConfigError(_brackets(text, name))
    return table


def _arrays() -> list[str]:
    """The tables of which there may be several."""
    defaults = Config()
    return [
        field.name
        for field in fields(Config)
        if section_of(field) is not None and isinstance(getattr(defaults, field.name), tuple)
    ]


def _said(text: str, error: str) -> str:
    """What is wrong with the text, and where."""
    found = _PLACE.fullmatch(error)
    what = error if found is None else found[1]
    lines = text.splitlines()
    number = int(found[2]) if found is not None and found[2] else len(lines)
    line = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    name = line.strip("[] ")
    if _TWICE.match(what) and line.startswith("["):
        if name in _arrays():
            return _brackets(text, name)
        first = next(at for at, each in enumerate(lines, 1) if each.strip() == line)
        return f"line {number}: {line} already appears in line {first}; merge the two tables."
    if _TWICE.match(what):
        key = line.partition("=")[0].strip()
        return f"line {number}: {key} appears twice; remove one of the two."
    meant = next((words for begin, words in _OTHER_WORDS if what.startswith(begin)), what)
    key, equals, _ = line.partition("=")  # what follows may be a secret
    shown = f", {key.strip()[:MAX_SHOWN]}," if equals and key.strip() else ""
    return f"line {number}{shown} is not TOML: {meant}; correct it there."


def _brackets(text: str, name: str) -> str:
    """How a table is written of which there may be several."""
    form = re.compile(rf"\s*\[{name}\]")
    lines = [at for at, line in enumerate(text.splitlines(), 1) if form.match(line)]
    where = f"line {lines[0]}: " if lines else ""
    return f"{where}write [[{name}]] with two brackets, since there may be several."


__all__ = ["parsed"]
