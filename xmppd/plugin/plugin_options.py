"""The options of plugins, as their files tell: none of them is run."""

import ast
import importlib
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from operator import attrgetter
from pathlib import Path

from xmppd.config.reference import Option, in_toml
from xmppd.plugin.library import PACKAGE, installed_files

_KINDS = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_SECTION = "Section"

MAX_KEPT = 500
"""Plugins whose options are kept."""

Sources = tuple[tuple[str, int], ...]
"""Files, each with when it was changed."""


def plugin_options(directory: Path | None) -> Iterator[Option]:
    """What there is to set in the tables of all plugins that could be loaded, by their names.

    A file is read again only when it has changed: a page of the console asks at each click.

    Args:
        directory: The configured one for plugins of one's own; None if there is none.
    """
    places = list(importlib.import_module(PACKAGE).__path__)
    found: dict[str, Sources] = {}
    for place in [*places, str(directory)] if directory else places:
        found.update(_plugins_in(place))
    for name, files in installed_files().items():
        found.setdefault(name, tuple(map(_source, files)))
    for name in sorted(found):
        yield from _options(name, found[name])


def _plugins_in(place: str) -> Iterator[tuple[str, Sources]]:
    """The plugins of a directory, each with its files."""
    for entry in _entries(place):
        if entry.name.endswith(".py"):
            yield entry.name.removesuffix(".py"), (_source(entry),)
        elif entry.is_dir():
            files = [each for each in _entries(entry.path) if each.name.endswith(".py")]
            if any(each.name == "__init__.py" for each in files):
                yield entry.name, tuple(map(_source, files))


def _entries(place: str) -> list[os.DirEntry[str]]:
    """What is in a directory, by name; nothing if it cannot be read."""
    try:
        with os.scandir(place) as entries:
            return sorted(entries, key=attrgetter("name"))
    except OSError:
        return []


def _source(file: os.DirEntry[str] | Path) -> tuple[str, int]:
    """A file, and when it was changed; 0 if it is gone."""
    try:
        return os.fspath(file), file.stat().st_mtime_ns
    except OSError:
        return os.fspath(file), 0


@lru_cache(maxsize=MAX_KEPT)
def _options(name: str, files: Sources) -> tuple[Option, ...]:
    """The options of one plugin: of the tables of its files that are in no other table."""
    sections: dict[str, ast.ClassDef] = {}
    values: dict[str, ast.expr] = {}
    for path, _ in files:
        for node in _read(Path(path)):
            if isinstance(node, ast.ClassDef) and _SECTION in map(ast.unparse, node.bases):
                sections[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                values[node.targets[0].id] = node.value
    inner = {each for kind in sections.values() for each in _inner(kind, sections)}
    return tuple(
        option
        for kind in sections.values()
        if kind.name not in inner
        for option in _fields(f"{name}.", kind, sections, values)
    )


def _read(path: Path) -> list[ast.stmt]:
    """What stands in a file; nothing if it has no table, or cannot be read."""
    try:
        text = path.read_text(encoding="utf-8")
        return ast.parse(text).body if f"({_SECTION}" in text else []
    except (OSError, ValueError, SyntaxError):
        return []


def _inner(kind: ast.ClassDef, sections: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    """The names of the tables that a table has in it."""
    for field in kind.body:
        if isinstance(field, ast.AnnAssign):
            names = (node.id for node in ast.walk(field.annotation) if isinstance(node, ast.Name))
            yield from (name for name in names if name in sections)


def _fields(
    where: str,
    kind: ast.ClassDef,
    sections: Mapping[str, ast.ClassDef],
    values: Mapping[str, ast.expr],
) -> Iterator[Option]:
    said = _said(ast.get_docstring(kind) or "")
    for field in kind.body:
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        name, told = field.target.id, ast.unparse(field.annotation)
        within = next(
            (
                n.id
                for n in ast.walk(field.annotation)
                if isinstance(n, ast.Name) and n.id in sections
            ),
            None,
        )
        if "ClassVar" in told or "Mark.APART" in told:
            continue
        if within is not None:
            yield from _fields(f"{where}{name}.", sections[within], sections, values)
        else:
            yield Option(
                name=where + name,
                kind=_kind(field.annotation, values),
                default=_default(field.value, values),
                restart="Mark.RESTART" in told,
                help=said.get(name, ""),
            )


def _kind(node: ast.expr, values: Mapping[str, ast.expr]) -> str:
    """The kind of a value in words; the only values, if there are few."""
    if isinstance(node, ast.Name) and node.id in values:
        return _kind(values[node.id], {})
    if isinstance(node, ast.BinOp):
        return _kind(node.left, values)
    if isinstance(node, ast.Subscript):
        of = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        match ast.unparse(node.value):
            case "Annotated":
                return _kind(of[0], values)
            case "Literal":
                return " or ".join(in_toml(ast.literal_eval(each)) for each in of)
            case "tuple":
                return f"array of {_kind(of[0], values)}"
    return _KINDS.get(ast.unparse(node), "table")


def _default(node: ast.expr | None, values: Mapping[str, ast.expr]) -> str:
    """The default as in the file; as the plugin has it, if it is more than a value."""
    if node is None:
        return ""
    if isinstance(node, ast.Name) and node.id in values:
        return _default(values[node.id], {})
    try:
        return in_toml(ast.literal_eval(node))
    except ValueError:
        return ast.unparse(node)


def _said(docstring: str) -> dict[str, str]:
    """What a docstring says of each attribute."""
    said: dict[str, str] = {}
    name = ""
    for line in docstring.replace("``", "").partition("Attributes:\n")[2].splitlines():
        depth = len(line) - len(line.lstrip())
        word, colon, text = line.strip().partition(":")
        if depth == 4 and colon and word.isidentifier():
            name, said[word] = word, text.strip()
        elif depth > 4 and name:
            said[name] += f" {line.strip()}"
        elif line.strip():
            break
    return said


__all__ = ["plugin_options"]
