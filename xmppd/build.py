"""The build that runs: pure Python, or the same source with some of its modules compiled.

Python itself takes the compiled form of a module, if one lies beside its source. That there may be
any is known only here, and in setup.py, which makes them.
"""

import os
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from types import ModuleType

PURE = "XMPPD_PURE"
"""The environment variable that has compiled modules left aside, unless it is empty."""

_ROOT = __file__.removesuffix("build.py")


def heed_environment() -> None:
    """Leave compiled modules aside from now on, if the environment says so."""
    if os.environ.get(PURE):
        sys.path_hooks.insert(0, _source_only)


def _source_only(directory: str) -> FileFinder:
    """What finds modules in a directory of ours: by their source, whatever else is there.

    Raises:
        ImportError: It is another's.
    """
    if not f"{directory}/".startswith(_ROOT):
        raise ImportError(directory)
    return FileFinder(directory, (SourceFileLoader, SOURCE_SUFFIXES))


def compiled() -> list[str]:
    """The modules of ours that were loaded in their compiled form."""
    return sorted(
        name
        for name, module in sys.modules.items()
        if name.startswith("xmppd.") and not _file(module).endswith(".py")
    )


def build() -> str:
    """The build that runs: ``compiled`` or ``pure``."""
    return "compiled" if compiled() else "pure"


def _file(module: ModuleType) -> str:
    return getattr(module, "__file__", None) or ".py"  # a namespace has none
