"""Writes the beginning of a plugin: a distribution with an entry point, and a test that passes."""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory

from xmppd.config.config import Config
from xmppd.host.version import version
from xmppd.plugin import library
from xmppd.plugin.plugin_error import PluginError

TEMPLATES = Path(__file__).with_name("distribution")

_NAME = re.compile(r"[a-z][a-z0-9_]*")


def write_plugin(name: str, directory: Path) -> Path:
    """Write the files of a new distribution ``xmppd-NAME``, in a directory of this name.

    Args:
        name: Of the plugin.
        directory: Where that directory is made.

    Returns:
        That directory.

    Raises:
        PluginError: The name cannot be one, or is taken; or a directory of this name is there.
        OSError: They cannot be written; then there are none.
    """
    _check_name(name)
    distribution = f"xmppd-{name.replace('_', '-')}"
    made = directory / distribution
    if made.exists():
        raise PluginError(f"{made} already exists; remove it, or choose another name")
    with TemporaryDirectory(prefix=f".{distribution}.", dir=directory) as beside:
        root = Path(beside) / distribution
        for path, text in _files(name, distribution):
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text, encoding="utf-8")
        root.rename(made)
    return made


def _files(name: str, distribution: str) -> Iterator[tuple[str, str]]:
    """The path of each file in the distribution, and what is in it."""
    package = f"xmppd_{name}"
    words = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "word": "".join(part.capitalize() for part in name.split("_")),
        "server": f"xmppd>={version()}" if version()[:1].isdigit() else "xmppd",
    }
    for template, path in (
        ("pyproject.toml", "pyproject.toml"),
        ("README.md", "README.md"),
        ("__init__.py", f"{package}/__init__.py"),
        ("plugin.py", f"{package}/plugin.py"),
        ("test_plugin.py", f"tests/test_{name}.py"),
    ):
        text = (TEMPLATES / f"{template}.in").read_text(encoding="utf-8")
        yield path, Template(text).substitute(words)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise PluginError(
            f'"{name}" cannot be the name of a plugin; use lowercase letters, digits and _, as in '
            '"word_filter"'
        )
    if name in Config.__struct_fields__:
        raise PluginError(f'"{name}" is a table of the server itself; choose another name')
    if name in library.available(None):
        raise PluginError(f'a plugin "{name}" is already installed; choose another name')


__all__ = ["write_plugin"]
