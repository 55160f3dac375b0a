"""What the manual says about incidents: read from its page, so that the drill is about that."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "administration.md"
HEADING = "### Incidents, one by one"
MAX_COMMANDS = 2
_COMMAND = re.compile(r"`xmppctl ([^`]*)`")
_CODE = re.compile(r"`([a-z_-]+)`")


@dataclass(frozen=True)
class Row:
    """A row of the table.

    Attributes:
        name: What happens.
        commands: What is to be asked, without ``xmppctl``.
        code: By which programs know the cause.
        says: The sentence that names it; … stands for what is different each time.
    """

    name: str
    commands: tuple[tuple[str, ...], ...]
    code: str
    says: str

    @property
    def pattern(self) -> re.Pattern[str]:
        """The sentence, for looking it up in what has been folded together again."""
        parts = (re.escape(" ".join(part.split())) for part in self.says.split("…"))
        return re.compile(".*?".join(parts))


def rows() -> list[Row]:
    """All of them, in their order."""
    text = PAGE.read_text(encoding="utf-8").partition(HEADING)[2].partition("\n### ")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [_row(line) for line in lines[1:]]


def _row(line: str) -> Row:
    name, asked, code, says = (cell.strip() for cell in line.strip("|").split(" | "))
    commands = tuple(tuple(shlex.split(found)) for found in _COMMAND.findall(asked))
    (found,) = _CODE.findall(code)
    assert 1 <= len(commands) <= MAX_COMMANDS, line
    return Row(name, commands, found, says)


__all__ = ["PAGE", "Row", "rows"]
