"""Printers of xmppctl: tables, lists and sentences for people, JSON for programs."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple, TextIO

from xmppd.ctl.layout import Layout
from xmppd.ctl.letters import CUT, folded, padded
from xmppd.host.printable import printable
from xmppd.host.wall_clock import wall_clock

ROWS_AT_ONCE = 1_000
"""Rows whose widest value sets the width of a column."""

MAX_SENTENCE_LETTERS = 2_000
"""What is longer is cut, unless lines may have any width."""

Shown = str | int | float | bool | list[str] | None
Line = dict[str, Shown] | str
"""A row as it arrives, by column; or a sentence."""

_COPIED = ("https://", "xmpp:", "xmppd_")
"""How links and keys begin: they are copied out of a line, so none is parted."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?Z")
_UNITS = (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1))


class Shape(NamedTuple):
    """What is known of an answer before it comes.

    Attributes:
        answers: ``table``, ``record``, ``sentences``, ``document`` or ``stream``.
        least: Columns that a narrow terminal leaves out, the least important first.
        empty: What a table without rows says, without a full stop.
    """

    answers: str = "table"
    least: Sequence[str] = ()
    empty: str = ""


class Paper(NamedTuple):
    """Where an answer is printed, and how.

    Attributes:
        out: The answer goes here.
        asides: What is said about it goes here.
        width: Cells of a line; None for any number.
        columns: Those that are wanted, in this order; empty for as many as have room.
        now: For ages.
    """

    out: TextIO
    asides: TextIO
    width: int | None = None
    columns: Sequence[str] = ()
    now: datetime | None = None

    def sentence(self, text: str) -> None:
        """Print a sentence."""
        for line in folded_lines(text, self.width):
            self.out.write(f"{line}\n")

    def aside(self, text: str) -> None:
        """Say something about the answer."""
        width = self.width if self.asides.isatty() else None
        for line in folded_lines(text, width):
            self.asides.write(f"{line}\n")


class UnknownColumn(Exception):
    """An error: a column is wanted that a table does not have; the text names those it has."""


class Printer:
    """Prints rows as tables.

    Args:
        paper: Where to.
        shape: What is known of the answer.
    """

    def __init__(self, paper: Paper, shape: Shape) -> None:
        self._paper = paper
        self._shape = shape
        self._rows: list[dict[str, Shown]] = []
        self._layout: Layout | None = None
        self._empty = True

    def take(self, reply: Line) -> None:
        """Print it, or keep it until its table is complete.

        Raises:
            UnknownColumn: The table does not have one that is wanted.
        """
        self._empty = False
        if isinstance(reply, str):
            self._print_table()
            self._paper.sentence(f"{reply}.")
            return
        if self._rows and reply.keys() != self._rows[0].keys():
            self._print_table()
            self._layout = None
        self._rows.append(reply)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._print_table()

    def finish(self, *, broken_off: bool = False) -> None:
        """End the output, and say what it lacks.

        Args:
            broken_off: Whether the answer has not come to its end; an empty one says nothing then.

        Raises:
            UnknownColumn: The table does not have one that is wanted.
        """
        self._print_table()
        if self._empty and self._shape.empty and not broken_off:
            self._paper.aside(f"{self._shape.empty}.")
        if self._layout is not None and self._layout.left_out:
            names = ", ".join(self._layout.left_out)
            self._paper.aside(f"not shown: {names} (--wide shows all)")

    def _print_table(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        paper = self._paper
        names = wanted(rows[0], paper.columns)
        cells = [[shown(row[name], paper.now) for name in names] for row in rows]
        if self._layout is None:
            self._layout = Layout(
                names, cells, paper.width, self._shape.least, fixed=bool(paper.columns)
            )
            self._write(self._layout.heading())
        for row in cells:
            self._write(self._layout.lines(row))

    def _write(self, lines: list[str]) -> None:
        for line in lines:
            self._paper.out.write(f"{line}\n")


class RecordPrinter:
    """Prints each row as a list of its columns.

    Args:
        paper: Where to.
    """

    def __init__(self, paper: Paper) -> None:
        self._paper = paper
        self._first = True

    def take(self, reply: Line) -> None:
        """Print it.

        Raises:
            UnknownColumn: It does not have a column that is wanted.
        """
        paper = self._paper
        if isinstance(reply, str):
            paper.sentence(f"{reply}.")
            return
        if not self._first:
            paper.out.write("\n")
        self._first = False
        names = wanted(reply, paper.columns)
        margin = max(map(len, names))
        width = None if paper.width is None else max(paper.width - margin - 2, 1)
        for name in names:
            value = reply[name]
            if isinstance(value, str) and "\n" in value:
                paper.out.write(f"{name}\n")
                paper.out.writelines(f"{printable(line)}\n" for line in value.splitlines())
                continue
            text = shown(value, paper.now)
            first, *others = folded_lines(text, None if text.startswith(_COPIED) else width)
            paper.out.write(f"{padded(name, margin)}  {first}\n")
            for line in others:
                paper.out.write(f"{' ' * margin}  {line}\n")

    def finish(self, *, broken_off: bool = False) -> None:
        """Flush the output at its end."""
        self._paper.out.flush()


class SentencePrinter:
    """Prints the sentences of replies.

    Args:
        paper: Where to.
        empty: What an answer without any says, without a full stop.
    """

    def __init__(self, paper: Paper, empty: str = "") -> None:
        self._paper = paper
        self._empty = empty

    def take(self, reply: Line) -> None:
        """Print it."""
        self._empty = ""
        says = f"{reply}." if isinstance(reply, str) else shown(reply["says"])
        self._paper.sentence(says)

    def finish(self, *, broken_off: bool = False) -> None:
        """Flush the output at its end; an empty one says so."""
        if self._empty and not broken_off:
            self._paper.aside(f"{self._empty}.")
        self._paper.out.flush()


class DocumentPrinter:
    """Prints a document as it is, so that what is written to a file can be read from there: its
    parts are notes, or rows with one in ``says``. Only a terminal is spared the characters that it
    would obey.

    Args:
        paper: Where to.
    """

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    def take(self, reply: Line) -> None:
        """Print the next part of it, which ends with a line."""
        text, out = reply if isinstance(reply, str) else str(reply["says"]), self._paper.out
        if out.isatty():
            text = "\n".join(map(printable, text.split("\n")))
        out.write(f"{text}\n")

    def finish(self, *, broken_off: bool = False) -> None:
        """Flush the output at its end."""
        self._paper.out.flush()


class JSONPrinter:
    """Prints each reply as an object on a line of its own.

    Args:
        paper: Where to.
    """

    def __init__(self, paper: Paper) -> None:
        self._paper = paper

    def take(self, reply: Line) -> None:
        """Print it.

        Raises:
            UnknownColumn: It does not have a column that is wanted.
        """
        row: dict[str, Shown] = {"note": reply} if isinstance(reply, str) else reply
        if self._paper.columns and not isinstance(reply, str):
            row = {name: row[name] for name in wanted(row, self._paper.columns)}
        self._paper.out.write(f"{json_text(row)}\n")

    def finish(self, *, broken_off: bool = False) -> None:
        """Flush the output at its end."""
        self._paper.out.flush()


AnyPrinter = Printer | RecordPrinter | SentencePrinter | DocumentPrinter | JSONPrinter


def printer(paper: Paper, shape: Shape, *, json: bool) -> AnyPrinter:
    """The printer for such an answer."""
    if json:
        return JSONPrinter(paper)
    if shape.answers == "table":
        return Printer(paper, shape)
    if shape.answers == "record":
        return RecordPrinter(paper)
    if shape.answers == "document":
        return DocumentPrinter(paper)
    return SentencePrinter(paper, shape.empty)


def wanted(row: dict[str, Shown], columns: Sequence[str]) -> list[str]:
    """The columns that are wanted; all without a choice.

    Raises:
        UnknownColumn: The row does not have one of them.
    """
    for name in columns:
        if name not in row:
            raise UnknownColumn(f"unknown column {name}; the columns are {', '.join(row)}")
    return list(columns or row)


def shown(value: Shown, now: datetime | None = None) -> str:
    """A value for people; characters that could move the cursor are spelled out.

    Args:
        value: The value.
        now: A time is shown with its age at this time; None for none.
    """
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(value) if isinstance(value, list) else str(value)
    found = _TIME.fullmatch(text)
    if found is not None and now is not None:
        return f"{found[1]}Z ({age(datetime.fromisoformat(f'{found[1]}+00:00'), now)})"
    return printable(text)


def age(time: datetime, now: datetime) -> str:
    """How long ago a time was, or how soon it is, in its largest unit."""
    seconds = round((now - time).total_seconds())
    name, unit = next((each for each in _UNITS if abs(seconds) >= each[1]), _UNITS[-1])
    number = abs(seconds) // unit
    return f"in {number} {name}" if seconds < 0 else f"{number} {name} ago"


def utc_now() -> datetime:
    """The time of this machine."""
    return datetime.fromtimestamp(wall_clock(), UTC)


def json_text(row: object) -> str:
    """An object as a text of JSON, without characters that a terminal would obey."""
    return "".join(map(_json_character, json.dumps(row, ensure_ascii=False)))


def _json_character(character: str) -> str:
    """A character of a JSON text: one that is not printable is in a string, and escaped."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


def folded_lines(text: str, width: int | None) -> list[str]:
    """A text in lines of so many cells at most; None for any number."""
    if width is None:
        return [printable(text)]
    long = len(text) > MAX_SENTENCE_LETTERS
    return folded(printable(f"{text[:MAX_SENTENCE_LETTERS]}{CUT}" if long else text), width)


__all__ = [
    "MAX_SENTENCE_LETTERS",
    "ROWS_AT_ONCE",
    "AnyPrinter",
    "DocumentPrinter",
    "JSONPrinter",
    "Line",
    "Paper",
    "Printer",
    "RecordPrinter",
    "SentencePrinter",
    "Shape",
    "Shown",
    "UnknownColumn",
    "age",
    "folded_lines",
    "json_text",
    "printer",
    "shown",
    "utc_now",
    "wanted",
]
