"""Shown: what a command answers, as a table of cells, and as a file for a spreadsheet."""

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from xmppd.command.reply import Reply, Row, columns_of
from xmppd.pages import cells
from xmppd.pages.templates import Markup, escape

MAX_FILE_ROWS = 100_000

AT_ONCE = "at-once"
"""The form of a page whose buttons each give a command."""

NOTHING_HERE = "There is nothing here."
_NOTHING = Markup('<span class="soft">–</span>')
_YES = Markup('<span class="pill">yes</span>')
_NO = Markup('<span class="soft">no</span>')
_DANGER = "…"
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)(:\d\d)?(\.\d+)?(Z|[+-]\d\d:\d\d)")
_GOOD = frozenset(("open", "connected", "available", "done", "acts", "reached"))
_BAD = re.compile(r"refused|failed|broken|expired|unreachable|lost")
_STATES = frozenset(("state", "outcome"))
_TOLD = "arguments"
_NAMES = frozenset(("pid", "number", "generation"))
"""Columns whose numbers are names of something, and have no thousands apart."""

_RISKY = ("=", "+", "-", "@", "\t", "\r")
"""What a cell begins with that a spreadsheet would compute."""


@dataclass(frozen=True, slots=True)
class Act:
    """A command that is offered.

    Attributes:
        title: On its button.
        href: Of its form.
        danger: Whether it ends something.
        at_once: Whether its button gives it, by the form of the page that has this name.
    """

    title: str
    href: str
    danger: bool = False
    at_once: bool = False


@dataclass(frozen=True, slots=True)
class ShownRow:
    """A row of a table: there are many, so they are put together here and not by a template.

    Attributes:
        values: Each as it is shown.
        cells: The same as cells of a table.
        acts: The buttons for what may be done with it; empty for nothing.
    """

    values: tuple[Markup, ...]
    cells: Markup
    acts: Markup


@dataclass(frozen=True, slots=True)
class ShownAnswer:
    """What a command answers.

    Attributes:
        headings: Of the columns, each with whether it has numbers.
        lines: The rows.
        facts: Whether there is one row only, which is shown as a list of facts.
        notes: Sentences.
        more: Whether there are further rows.
        refused: Why there is nothing; empty if it is not so.
        last: The columns of the last row.
        empty: What to say if there is nothing.
    """

    headings: tuple[tuple[str, bool], ...] = ()
    lines: tuple[ShownRow, ...] = ()
    facts: bool = False
    notes: tuple[str, ...] = ()
    more: bool = False
    refused: str = ""
    last: Mapping[str, Any] = field(default_factory=dict)
    empty: str = NOTHING_HERE


@dataclass
class Heard:
    """The replies of a command, as far as they are shown.

    Attributes:
        rows: Each with its columns.
        notes: Sentences.
        more: Whether there are further ones.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    more: bool = False

    def add(self, reply: Reply) -> None:
        """Take one more."""
        if isinstance(reply, Row):
            self.rows.append(columns_of(reply))
        else:
            self.notes.append(reply)

    def cut(self, most: int, column: str) -> None:
        """Leave the first rows only, in the order of a column."""
        self.rows.sort(key=itemgetter(column))
        self.more = self.more or len(self.rows) > most
        del self.rows[most:]


def shown(
    answer: Heard,
    *,
    columns: Sequence[str] = (),
    facts: bool = False,
    link: Callable[[str, object], str] = lambda key, value: "",
    acts: Callable[[Mapping[str, Any]], Iterable[Act]] = lambda row: (),
    empty: str = "",
) -> ShownAnswer:
    """An answer for a page.

    Args:
        answer: It.
        columns: Those that are shown; none for all.
        facts: Whether one row is a list of facts.
        link: Where the value of a column leads.
        acts: What is offered for a row.
        empty: What to say if there is nothing; empty for what is said elsewhere.
    """
    keys = list(dict.fromkeys(key for row in answer.rows for key in row))
    if columns:
        wanted = ("node", *columns)
        keys = [key for key in wanted if key in keys]
    numbers = [_has_numbers(answer.rows, key) for key in keys]

    def shown_row(row: Mapping[str, Any]) -> ShownRow:
        values = [value(key, row.get(key), link(key, row.get(key))) for key in keys]
        parts = (
            f'<td class="num">{each}</td>' if is_number else f"<td>{each}</td>"
            for each, is_number in zip(values, numbers, strict=True)
        )
        return ShownRow(tuple(values), Markup("".join(parts)), buttons(acts(row)))

    return ShownAnswer(
        tuple(zip(map(cells.heading, keys), numbers, strict=True)),
        tuple(map(shown_row, answer.rows)),
        facts and len(answer.rows) == 1,
        tuple(answer.notes),
        answer.more,
        last=answer.rows[-1] if answer.rows else {},
        empty=empty or NOTHING_HERE,
    )


def _has_numbers(rows: Iterable[Mapping[str, Any]], key: str) -> bool:
    return any(_is_number(row.get(key)) for row in rows)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def value(key: str, found: object, href: str = "") -> Markup:
    """A value as a page shows it, by the name of its column and what it is (CN-5)."""
    if found is None or found in ("", [], ()):
        return _NOTHING
    if isinstance(found, bool):
        return _YES if found else _NO
    if isinstance(found, int | float):
        return Markup(f'<span title="{found}">{escape(_number(key, found))}</span>')
    if isinstance(found, list):
        items = "".join(f"<li><bdi>{escape(cells.text(each))}</bdi></li>" for each in found)
        return Markup(f'<ul class="many">{items}</ul>')
    text = str(found)
    if key == _TOLD:
        return Markup(f"<bdi>{escape(cells.arguments(text))}</bdi>")
    moment = _MOMENT.fullmatch(text)
    if moment is not None:
        return Markup(f'<time datetime="{text}" title="{text}">{moment[1]} {moment[2]}</time>')
    said = f"<bdi>{escape(cells.text(text))}</bdi>"
    if key in _STATES:
        mood = " bad" if _BAD.search(text) else "" if text in _GOOD else " off"
        return Markup(f'<span class="pill{mood}">{said}</span>')
    return Markup(f'<a href="{escape(href)}">{said}</a>' if href else said)


def buttons(acts: Iterable[Act]) -> Markup:
    """What may be done with a row."""
    return Markup("".join(map(_button, acts)))


def _button(act: Act) -> str:
    title = f"{escape(act.title)}{_DANGER if act.danger else ''}"
    if act.at_once:
        where = f'form="{AT_ONCE}" formaction="{escape(act.href)}"'
        return f'<button class="button small" type="submit" {where}>{title}</button>'
    return f'<a class="button small" href="{escape(act.href)}">{title}</a>'


def _number(key: str, value: float) -> str:
    if key in _NAMES:
        return str(value)
    if key.endswith("_s"):
        return cells.span(value)
    if key.endswith("bytes"):
        return cells.size(value)
    if key.endswith("_ms"):
        return f"{cells.number(value)} ms"
    if key.endswith("percent"):
        return f"{cells.number(value)} %"
    return cells.number(value)


def as_csv(answer: Heard) -> bytes:
    """The rows as a file; what a spreadsheet would take for a formula is a text there (CN-8)."""
    keys = list(dict.fromkeys(key for row in answer.rows for key in row))
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(keys)
    for row in answer.rows:
        writer.writerow([_in_a_file(row.get(key)) for key in keys])
    return out.getvalue().encode()


def _in_a_file(value: object) -> str:
    if value is None:
        return ""
    if _is_number(value):
        return str(value)
    text = " ".join(map(str, value)) if isinstance(value, list) else str(value)
    return f"'{text}" if text.startswith(_RISKY) else text


__all__ = [
    "AT_ONCE",
    "MAX_FILE_ROWS",
    "Act",
    "Heard",
    "ShownAnswer",
    "ShownRow",
    "as_csv",
    "shown",
]
