"""Library: finds plugins, modules and packages, and reads them anew."""

import importlib
import sys
from collections.abc import Iterable, Sequence
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


def _first_sentence(path: Path) -> str:
    """The first sentence of a file's docstring, without its full stop; empty without one."""
    try:
        _, _, text = path.read_text(encoding="utf-8").partition('"""')
    except (OSError, UnicodeDecodeError):
        return ""
    said = " ".join(text.partition('"""')[0].partition("\n\n")[0].split())
    return said.partition(". ")[0].removesuffix(".")


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


__all__ = ["NoSuchPlugin", "forget", "plugin_of", "read"]
