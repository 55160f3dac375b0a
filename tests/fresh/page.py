"""What the set-up page says to do, in its order: read from it, so that the test is about that."""

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "administration.md"
_BLOCK = re.compile(r"^```(sh|toml)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Commands:
    """Commands to be given.

    Attributes:
        text: Them, one a line.
    """

    text: str


@dataclass(frozen=True)
class File:
    """A file to be written.

    Attributes:
        path: Its name, which its first line says.
        text: Its content.
    """

    path: str
    text: str


Step = Commands | File


def steps() -> list[Step]:
    """All of them, from the heading "Installing" to the next one."""
    section = PAGE.read_text(encoding="utf-8").partition("\n## Installing\n")[2]
    section = section.partition("\n### ")[0]
    return [_step(kind, text) for kind, text in _BLOCK.findall(section)]


def _step(kind: str, text: str) -> Step:
    if kind == "sh":
        return Commands(text)
    path = text.partition("\n")[0].removeprefix("# ")
    assert path.startswith("/"), f"the first line of a file is its name: {text}"
    return File(path, text)


__all__ = ["PAGE", "Commands", "File", "Step", "steps"]
