"""Library: finds plugins, modules and packages, and reads them anew."""

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from importlib.abc import MetaPathFinder
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from xmppd.config.permissions import check_unwritable

ENTRY_POINTS = "xmppd.plugins"
PACKAGE = "xmppd_plugins"
LOCAL = "xmppd_local"
"""The package that the plugins of the configured directory are in."""

_NUMBERED = {"rfc": "RFC ", "xep": "XEP-"}


class NoSuchPlugin(Exception):
    """An error: there is no plugin of this name."""


def read(name: str, directory: Path | None) -> ModuleType:
    """A plugin's module, run if it was not imported before: a file, or a package of several.

    A name is looked for in the configured directory, among the entry points ``xmppd.plugins``, and
    in the package ``xmppd_plugins``, in this order.

    Raises:
        NoSuchPlugin: It was not found.
        Writable: Others may write a file of it.
        Exception: The module raises it.
    """
    importlib.invalidate_caches()
    if _is_out_of_date(name):
        forget(name)
    if directory is not None and _is_in(directory, name):
        if not any(isinstance(finder, _FromSource) for finder in sys.meta_path):
            sys.meta_path.insert(0, _FromSource())
        local = sys.modules.setdefault(LOCAL, ModuleType(LOCAL))
        local.__path__ = [str(directory.absolute())]
        return importlib.import_module(f"{LOCAL}.{name}")
    for entry_point in _installed().select(name=name):
        found: ModuleType = entry_point.load()
        return found
    try:
        return importlib.import_module(f"{PACKAGE}.{name}")
    except ModuleNotFoundError as error:
        if error.name != f"{PACKAGE}.{name}":
            raise
        raise NoSuchPlugin(name) from error


def available(directory: Path | None) -> dict[str, str]:
    """The plugins that could be loaded, by name, each with the first sentence it says of itself.

    None of them is run.
    """
    found: dict[str, str] = {}
    places = [Path(place) for place in importlib.import_module(PACKAGE).__path__]
    for place in [*places, directory] if directory else places:
        for path in sorted((*place.glob("*.py"), *place.glob("*/__init__.py"))):
            name = path.parent.name if path.stem == "__init__" else path.stem
            if path.parent != place or path.stem != "__init__":
                found[name] = _first_sentence(path)
    for entry_point in _installed():
        found.setdefault(entry_point.name, f"comes with {entry_point.module}")
    return found


def commands(directory: Path | None) -> dict[str, str]:
    """The commands of all plugins that could be loaded, by name, each with its plugin; those whose
    name their source says as it is.

    None of them is run.
    """
    found: dict[str, str] = {}
    places = [Path(place) for place in importlib.import_module(PACKAGE).__path__]
    for place in [*places, directory] if directory else places:
        for path in sorted(place.rglob("*.py")):
            inside = path.relative_to(place).parts[0]
            found |= dict.fromkeys(_commands_in(path), inside.removesuffix(".py"))
    for entry_point in _installed():
        spec = importlib.util.find_spec(entry_point.module.partition(".")[0])
        roots = spec.submodule_search_locations if spec is not None else None
        paths = [path for root in roots or () for path in Path(root).rglob("*.py")]
        if spec is not None and spec.origin is not None and not paths:
            paths = [Path(spec.origin)]
        for path in paths:
            found |= dict.fromkeys(_commands_in(path), entry_point.name)
    return found


def _commands_in(path: Path) -> Iterator[str]:
    """The names of the commands that a file describes."""
    try:
        tree = ast.parse(path.read_bytes())
    except (OSError, ValueError, SyntaxError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            name = next((each.value for each in node.keywords if each.arg == "name"), None)
            first = node.args[0] if node.args else name
            if node.func.id == "Description" and isinstance(first, ast.Constant):
                yield str(first.value)


def installed_files() -> dict[str, list[Path]]:
    """The source files of the plugins of installed packages, by name. None of them is run."""
    found: dict[str, list[Path]] = {}
    for entry_point in _installed():
        files = _files_of(entry_point.module)
        if files:
            found.setdefault(entry_point.name, files)
    return found


def _files_of(module: str) -> list[Path]:
    """The files of a module or package; none if they are not found without running its parents."""
    top, *inner = module.split(".")
    try:
        spec = importlib.util.find_spec(top)  # a name without a dot is looked for, not imported
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    if not inner and spec.origin and not spec.submodule_search_locations:
        return [Path(spec.origin)]
    for place in spec.submodule_search_locations or ():
        path = Path(place, *inner)
        if path.is_dir():
            return sorted(path.glob("*.py"))
        if path.with_suffix(".py").is_file():
            return [path.with_suffix(".py")]
    return []


def _first_sentence(path: Path) -> str:
    """The first sentence of a file's docstring, without its full stop; empty without one."""
    try:
        _, _, text = path.read_text(encoding="utf-8").partition('"""')
    except (OSError, UnicodeDecodeError):
        return ""
    said = " ".join(text.partition('"""')[0].partition("\n\n")[0].split())
    return _as_text(said.partition(". ")[0].removesuffix("."))


def _as_text(said: str) -> str:
    """What Sphinx would make of it, without markup."""
    said = re.sub(r":(rfc|xep):`(\d+)`", lambda found: _NUMBERED[found[1]] + found[2], said)
    said = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"\1", said)
    said = re.sub(r" \([A-Z]+-\d+[^)]*\)", "", said)
    return re.sub(r"``(.*?)``", r"\1", said)


def _installed() -> EntryPoints:
    """The plugins of installed packages. Those are read anew only when a directory that packages
    are looked for in has changed: to read them all takes longer than to load a plugin.
    """
    return _read_installed(tuple(map(_changed_at, sys.path)))


@lru_cache(maxsize=1)
def _read_installed(directories: tuple[tuple[str, int], ...]) -> EntryPoints:
    return entry_points(group=ENTRY_POINTS)


def _changed_at(path: str) -> tuple[str, int]:
    try:
        return path, Path(path).stat().st_mtime_ns
    except OSError:
        return path, 0


def _is_in(directory: Path, name: str) -> bool:
    return (directory / f"{name}.py").is_file() or (directory / name / "__init__.py").is_file()


def module_names(name: str) -> Iterable[str]:
    """The possible names of a plugin's module."""
    yield f"{LOCAL}.{name}"
    yield f"{PACKAGE}.{name}"
    for entry_point in _installed().select(name=name):
        yield entry_point.module


def plugin_of(kind: type) -> str | None:
    """The name of the plugin that a class is defined in; None if it is in none."""
    module = kind.__module__
    if module.startswith("xmppd."):  # ours, mostly: installed packages are not asked for it
        return None
    for package in (LOCAL, PACKAGE):
        if module.startswith(f"{package}."):
            return module.split(".")[1]
    for entry_point in _installed():
        if _is_within(module, entry_point.module):
            return entry_point.name
    return None


def forget(name: str) -> dict[str, ModuleType]:
    """Forget the modules of a plugin, so that the next import reads all its files again.

    Returns:
        The modules that were forgotten, for :data:`sys.modules` to get them back.
    """
    return {each: sys.modules.pop(each) for each in _imported(name)}


def _is_out_of_date(name: str) -> bool:
    """Whether a plugin was imported, and another one that it imports from was read anew since."""
    imported = _imported(name).values()
    return any(_was_replaced(value) for module in imported for value in vars(module).values())


def _imported(name: str) -> dict[str, ModuleType]:
    """The modules of a plugin that were imported, by name; there are thousands of others."""
    roots = tuple(module_names(name))
    inside = tuple(f"{root}." for root in roots)
    return {
        each: module
        for each, module in tuple(sys.modules.items())
        if each.startswith(inside) or each in roots
    }


def _was_replaced(value: object) -> bool:
    """Whether a class or function of a plugin is not the one that its module has now."""
    home, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
    if not isinstance(home, str) or not isinstance(name, str):
        return False
    if home.split(".")[0] not in (LOCAL, PACKAGE):
        return False
    module = sys.modules.get(home)
    return module is None or getattr(module, name, value) is not value


def _is_within(module: str, root: str) -> bool:
    return module == root or module.startswith(f"{root}.")


class _AsWritten(SourceFileLoader):
    """Loads a module from its source, without bytecode, if no other user may write it.

    Bytecode is told from its source by size and whole seconds: a file that is changed and reloaded
    at once may look unchanged.
    """

    def path_stats(self, path: object) -> NoReturn:
        raise OSError(f"no bytecode for {path}")

    def get_data(self, path: str) -> bytes:
        file = Path(path)
        check_unwritable(file.parent)
        check_unwritable(file)
        if file.name == "__init__.py":
            check_unwritable(file.parent.parent)
            for each in sorted(file.parent.rglob("*")):
                check_unwritable(each)
        return super().get_data(path)


class _FromSource(MetaPathFinder):
    """Finds the modules of plugins in the configured directory."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The module, by the path of its package."""
        if not fullname.startswith(f"{LOCAL}."):
            return None
        for entry in path or ():
            spec = FileFinder(entry, (_AsWritten, SOURCE_SUFFIXES)).find_spec(fullname)
            if spec is not None:
                return spec
        return None


__all__ = ["NoSuchPlugin", "available", "commands", "forget", "plugin_of", "read"]
