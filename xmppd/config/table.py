"""Tables of the file, read as their structs, or refused with a sentence for the administrator."""

import math
import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar, get_args

from msgspec import ValidationError, convert
from msgspec.structs import fields

from xmppd.config.changes import leaves
from xmppd.config.config import Config
from xmppd.config.section import Mark, Section, is_marked, section_of, type_of
from xmppd.stanza.phrases import or_rather

S = TypeVar("S", bound=Section)

NEAR_OURS, NEAR_PLUGINS = 0.65, 0.7
"""How much alike a table is to one of the server's, or to that of a plugin, from 0 to 1, if that is
meant.
"""

_IN_TOML = {
    "str": "a string",
    "int": "an integer",
    "float": "a decimal number",
    "bool": "a boolean (true or false)",
    "array": "an array",
    "object": "a table",
    "date": "a date",
    "datetime": "a date and time",
    "time": "a time",
}


class ConfigError(ValueError):
    """An error: the file cannot be used; the text is one sentence with the key and the remedy."""


def read(
    table: Mapping[str, object], kind: type[S], where: str = "", others: Collection[str] = ()
) -> S:
    """A table as its struct.

    Args:
        table: As TOML has it.
        kind: Its struct.
        where: Its name, with a dot behind; empty for the whole file.
        others: Names that are no keys of it, and may have been meant.

    Raises:
        ConfigError: With a sentence for the first mistake.
    """
    _refuse_unknown_keys(table, kind, where, others)
    try:
        section = convert(table, kind)
    except ValidationError as error:
        what, _, place = str(error).partition(" - at `$")
        raise ConfigError(_explained(what, place.strip("`."), kind, where)) from None
    _check_numbers(section, where)
    return section


def _refuse_unknown_keys(
    table: Mapping[str, object], kind: type[Section], where: str, others: Collection[str] = ()
) -> None:
    known = {field.name: field for field in fields(kind) if not is_marked(field, Mark.APART)}
    for key, value in table.items():
        if key not in known:
            near = get_close_matches(key, known, 1, NEAR_OURS)
            near = near or get_close_matches(key, others, 1, NEAR_PLUGINS)
            if not (where or near) and isinstance(value, dict):
                raise ConfigError(
                    f"[{key}] is neither a table of the server nor of a loaded plugin; correct the "
                    "name, add its plugin to plugins.load, or remove the table."
                )
            raise ConfigError(
                f"{where}{key} is not an option{_advice(key, where, list(known), others)}."
            )
        inner = section_of(known[key])
        if inner is not None:
            for part in value if isinstance(value, list) else [value]:
                if isinstance(part, dict):
                    _refuse_unknown_keys(part, inner, f"{where}{key}.")


def _advice(key: str, where: str, known: list[str], others: Collection[str]) -> str:
    near = get_close_matches(key, [each for each in (*known, *others) if each != key], n=1)
    if near:
        return or_rather(f"{where}{near[0]}")
    elsewhere = [name for name, _ in leaves(Config()) if name.endswith(f".{key}")]
    if elsewhere and not where:
        return f"; write it in its own table, as {' or '.join(elsewhere)}"
    if len(known) == 1:
        return f"; remove it, or use {where}{known[0]}, the only option of this table"
    return f"; remove it, or use one of {', '.join(known)}"


def _explained(what: str, place: str, kind: type[Section], where: str) -> str:
    """The error of msgspec, in the words of TOML."""
    key = re.sub(r"\[(\d+)\]", lambda found: f"[{int(found[1]) + 1}]", place)
    key = (where + key.replace("[...]", ".*")).rstrip(".")
    if mismatch := re.fullmatch(r"Expected `(\w+)`, got `(\w+)`", what):
        expected, actual = (_IN_TOML.get(name, name) for name in mismatch.groups())
        expected = "a number" if mismatch[1] == "float" else expected
        if mismatch.groups() == ("object", "array") and "." not in key:
            return f"{key} is an array; write it once, as [{key}], with single brackets."
        if mismatch.groups() == ("array", "object") and _has_tables(place, kind):
            return f"{key} is a table; write it as [[{key}]], with double brackets."
        return f"{key} is {actual}; it must be {expected}."
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", what):
        return f"{key} has no {missing[1]}; add it."
    if unknown := re.fullmatch(r"Invalid enum value (.+)", what):
        return f"{key} cannot be {unknown[1]}; use one of {_quoted(_choices(place, kind))}."
    of_key = what.partition(" ")[0] in {field.name for field in fields(kind)}
    return f"{key}{'.' if of_key else ': '}{what}."


def _has_tables(place: str, kind: type[Section]) -> bool:
    """Whether what is at a place such as ``s2s.domain`` is an array of tables."""
    found: type[Section] | None = kind
    for key in place.split("."):
        field = next((field for field in fields(found or Section) if field.name == key), None)
        found = None if field is None else section_of(field)
    return found is not None


def _quoted(words: Iterable[str]) -> str:
    """Strings, as TOML has them."""
    return ", ".join(f'"{word}"' for word in words)


def _choices(place: str, kind: type[Section]) -> tuple[str, ...]:
    """The values that the Literal at a place such as ``listen[0].kind`` allows."""
    *tables, key = re.sub(r"\[\d+\]", "", place).split(".")
    for table in tables:
        inner = section_of(next(field for field in fields(kind) if field.name == table))
        assert inner is not None, "the table has options"
        kind = inner
    kinds = get_args(type_of(next(field for field in fields(kind) if field.name == key)))
    return next((get_args(each) for each in kinds if get_args(each)), kinds)  # of an array


def _check_numbers(section: Section, where: str) -> None:
    """Refuse numbers of a table that are not greater than zero, but for those that may be zero."""
    for field in fields(section):
        value = getattr(section, field.name)
        if isinstance(value, Section):
            _check_numbers(value, f"{where}{field.name}.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        may_be_zero = is_marked(field, Mark.MAY_BE_ZERO)
        if not math.isfinite(value) or value < 0 or (value == 0 and not may_be_zero):
            least = "zero or more" if may_be_zero else "greater than zero"
            raise ConfigError(f"{where}{field.name} is {value}; it must be {least}.")


__all__ = ["ConfigError", "read"]
