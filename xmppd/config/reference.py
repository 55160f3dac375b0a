"""The reference of the configuration: every option with its kind, its default and what it means.

Kinds and defaults are those of :mod:`xmppd.config.config`; what an option means stands in the file
``xmppd.toml`` beside this module, which is the example that administrators begin with.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import FieldInfo, fields

from xmppd.config.config import Config
from xmppd.config.section import Mark, Section, is_marked, section_of, type_of

FILE = Path(__file__).with_name("xmppd.toml")

HIDDEN = "(hidden)"
"""Stands for a secret."""

_KINDS: Mapping[object, str] = {
    str: "string", int: "integer", float: "number", bool: "boolean", dict: "table", tuple: "array",
}  # fmt: skip
_TABLE = re.compile(r"\[+([a-z0-9_.]+)\]+")
_OPTION = re.compile(r"([a-z0-9_]+) = ")
_SAMPLE = re.compile(r" {2}([a-z0-9_]+) = .*?# (.+)")
_SECRET = re.compile(r"(secret|password|token)s?$")
_PASSWORD_IN_URL = re.compile(r"(?<=://)[^/@\s]*@")


class Option(Struct, frozen=True):
    """An option of the file.

    Attributes:
        name: With the names of its tables before it, between dots.
        kind: What its value is.
        default: As in TOML; empty for one that must be there.
        restart: Whether a change needs a restart.
        help: What it means.
    """

    name: str
    kind: str
    default: str
    restart: bool
    help: str


@cache
def options() -> tuple[Option, ...]:
    """Every option of the server, in the order of the file; without those of plugins."""
    said = dict[str, str]()
    for name, what in _explained(FILE.read_text(encoding="utf-8")):
        said.setdefault(name, what)  # a table that stands there twice is explained first
    return tuple(
        Option(
            name=name,
            kind=kind_of(type_of(field)),
            default=in_toml(default_of(field)),
            restart=restart,
            help=said.get(name, ""),
        )
        for name, field, restart in _leaves(Config, "")
    )


def default_of(field: FieldInfo) -> object:
    """The default of a field; None if it has none."""
    if field.default is not NODEFAULT:
        return field.default
    return None if field.default_factory is NODEFAULT else field.default_factory()


def _leaves(
    kind: type[Section], where: str, *, restart: bool = False
) -> Iterator[tuple[str, FieldInfo, bool]]:
    """The fields that are no tables, each with its dotted name."""
    for field in fields(kind):
        if is_marked(field, Mark.APART):
            continue
        late = restart or is_marked(field, Mark.RESTART)
        inner = section_of(field)
        if inner is None:
            yield where + field.name, field, late
        else:
            yield from _leaves(inner, f"{where}{field.name}.", restart=late)


def _explained(text: str) -> Iterator[tuple[str, str]]:
    """What the comments of the file say of each option, by its dotted name; an example that stands
    in comments itself is read as if it did not.
    """
    where, above, in_comments = "", list[str](), False
    for whole in text.splitlines():
        line = whole
        if in_comments and line.startswith("#"):
            line = line.removeprefix("#").removeprefix(" ")
        elif in_comments or not line:
            in_comments, above = False, []
        bare = line.removeprefix("# ")
        if table := _TABLE.fullmatch(bare):
            if above:
                yield table[1], " ".join(above)
            in_comments = in_comments or line is not bare
            where, above = f"{table[1]}.", []
        elif option := _OPTION.match(bare):
            if above:
                yield where + option[1], " ".join(above)
            above = []
        elif sample := _SAMPLE.fullmatch(bare):
            yield f"{where}domain.{sample[1]}", sample[2]
        elif line.startswith("#"):
            above.append(line.removeprefix("#").strip())


def kind_of(kind: object) -> str:
    """The kind of a value in words; the only values, if there are few."""
    origin = get_origin(kind)
    if origin is Literal:
        return " or ".join(in_toml(each) for each in get_args(kind))
    if origin in (Union, UnionType):
        return kind_of(next(each for each in get_args(kind) if each is not type(None)))
    if origin is tuple:
        (inner, *_) = get_args(kind)
        return f"array of {kind_of(inner)}"
    return _KINDS.get(origin or kind, "table")


def in_toml(value: object) -> str:
    """A value as the file has it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key} = {in_toml(each)}' for key, each in value.items())}}}"
    if isinstance(value, tuple | list | frozenset | set):
        return f"[{', '.join(map(in_toml, value))}]"
    return str(value)


def without_secrets(name: str, value: Any) -> Any:
    """A value that may be shown: secrets are hidden, whole or in a URL.

    Args:
        name: Of its option.
        value: The value; tables and arrays are gone through.
    """
    if isinstance(value, Struct):
        value = {field.name: getattr(value, field.name) for field in fields(type(value))}
    if isinstance(value, Mapping):
        return {key: without_secrets(str(key), each) for key, each in value.items()}
    if isinstance(value, tuple | list):
        return [without_secrets(name, each) for each in value]
    if isinstance(value, str | bytes) and value and _SECRET.search(name.rpartition(".")[2]):
        return HIDDEN
    if isinstance(value, str):
        return _PASSWORD_IN_URL.sub(f"{HIDDEN}@", value)
    return value


__all__ = [
    "FILE",
    "HIDDEN",
    "Option",
    "default_of",
    "in_toml",
    "kind_of",
    "options",
    "without_secrets",
]
