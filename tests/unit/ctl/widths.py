"""What each command prints of long names, Asian ones and none, at two widths.

    python -m tests.unit.ctl.widths

writes the files anew with which the tests compare it, when a command has other columns.
"""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from io import StringIO
from pathlib import Path
from typing import get_args, get_origin

from msgspec.structs import fields

from xmppd.command.command import Description
from xmppd.command.reply import Row
from xmppd.config.config import PluginSettings
from xmppd.ctl.commands import DECLARED
from xmppd.ctl.printer import Paper, Shape, Shown, printer
from xmppd.testing.house import House

WIDTHS = (80, 200)
NOW = datetime(2026, 11, 30, 12, 0, 0, tzinfo=UTC)
LONG = "mercutio" * 11 + "@verona.lit"
ASIAN = "羅密歐" * 10 + "@維洛納.lit"
NAMES = {"long": LONG, "Asian": ASIAN, "none": ""}
NOT_LOADED = ("faults", "guestbook")
"""Plugins that have commands, and are not loaded by default."""


@cache
def row_kinds() -> tuple[tuple[Description, type[Row]], ...]:
    """The commands that answer with rows, each with a kind of them; those of plugins among them."""
    house = House("verona.lit", plugins=(*PluginSettings().load, *NOT_LOADED))
    table = house.server.commands.commands
    ours = [(each.about, kind) for each in DECLARED.values() for kind in each.rows]
    others = [
        (table[name].about, kind)
        for name in sorted(table.keys() - DECLARED.keys())
        for kind in table[name].rows
    ]
    return (*ours, *others)


def row_of(kind: type[Row], text: str) -> dict[str, Shown]:
    """A row of this kind with a text in every column that has one."""
    return {field.encode_name: _value_of(field.type, text) for field in fields(kind)}


def drawn(about: Description, kind: type[Row], text: str, width: int) -> list[str]:
    """The lines that a terminal of this width shows of such a row."""
    out = StringIO()
    shape = Shape(about.answers, kind.least, about.empty)
    paper = printer(Paper(out, StringIO(), width, (), NOW), shape, json=False)
    paper.take(row_of(kind, text))
    paper.take("that is all")
    paper.finish()
    return out.getvalue().splitlines()


def file_of(width: int) -> Path:
    """The file that has what is shown at this width."""
    return Path(__file__).with_name(f"widths_{width}.txt")


def page(width: int) -> Iterable[str]:
    """What every command shows at this width, line by line."""
    for about, kind in row_kinds():
        for name, text in NAMES.items():
            yield f"# {about.name}: {kind.__name__}, {name}"
            yield from drawn(about, kind, text, width)


def main() -> int:
    """Write the files."""
    for width in WIDTHS:
        file_of(width).write_text("\n".join(page(width)) + "\n", encoding="utf-8")
    return 0


def _value_of(kind: object, text: str) -> Shown:
    """A value of a column of this kind."""
    if kind is bool:
        return True
    if kind is int or int in get_args(kind):
        return 123_456_789
    if kind is float or float in get_args(kind):
        return 1_234.5
    return [text, text] if get_origin(kind) is list else text


if __name__ == "__main__":
    sys.exit(main())
