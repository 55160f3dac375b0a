"""Printers of xmppctl: tables for people, JSON for programs."""

import json
from typing import TextIO

from xmppd.ctl.protocol import Line, Shown
from xmppd.host.log_lines import printable

ROWS_AT_ONCE = 1_000
"""Rows whose widest value sets the width of a column."""


class Printer:
    """Prints rows as tables.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._rows: list[dict[str, Shown]] = []
        self._headed = False

    def take(self, reply: Line) -> None:
        """Print it, or keep it until its table is complete."""
        if isinstance(reply, str):
            self.finish()
            self._out.write(f"{printable(reply)}.\n")
            return
        self._rows.append(reply)
        if len(self._rows) >= ROWS_AT_ONCE:
            self._print_table()

    def finish(self) -> None:
        """End the output: a single row that is wide is printed as a list."""
        if len(self._rows) == 1 and not self._headed and len(self._rows[0]) > WIDE:
            self._print_list(self._rows.pop())
        elif self._rows:
            self._print_table()

    def _print_list(self, row: dict[str, Shown]) -> None:
        width = max(map(len, row))
        for key, value in row.items():
            self._out.write(f"{key:<{width}}  {shown(value)}\n")

    def _print_table(self) -> None:
        rows, self._rows = self._rows, []
        lines = [[shown(value) for value in row.values()] for row in rows]
        if not self._headed:
            lines.insert(0, list(rows[0]))
            self._headed = True
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
            self._out.write("  ".join(cells).rstrip() + "\n")


class SentencePrinter:
    """Prints the sentences of replies.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, reply: Line) -> None:
        """Print it."""
        says = f"{printable(reply)}." if isinstance(reply, str) else shown(reply["says"])
        self._out.write(f"{says}\n")

    def finish(self) -> None:
        """Flush the output at its end."""
        self._out.flush()


class JSONPrinter:
    """Prints each reply as an object on a line of its own.

    Args:
        out: Where to.
    """

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def take(self, reply: Line) -> None:
        """Print it."""
        row = {"note": reply} if isinstance(reply, str) else reply
        text = json.dumps(row, ensure_ascii=False)
        self._out.write("".join(map(_json_character, text)) + "\n")

    def finish(self) -> None:
        """Flush the output at its end."""
        self._out.flush()


def printer(out: TextIO, answers: str, *, json: bool) -> Printer | SentencePrinter | JSONPrinter:
    """The printer for such answers."""
    if json:
        return JSONPrinter(out)
    return Printer(out) if answers == "table" else SentencePrinter(out)


WIDE = 6
"""A table of one row with more columns than this is a list."""


def shown(value: Shown) -> str:
    """A value for people; characters that could move the cursor are spelled out."""
    if value is None or value in ("", []):
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(", ".join(value) if isinstance(value, list) else str(value))


def _json_character(character: str) -> str:
    """A character of a JSON text: one that is not printable is in a string, and escaped."""
    return character if character.isprintable() else json.dumps(character)[1:-1]


__all__ = ["JSONPrinter", "Printer", "SentencePrinter", "printer", "shown"]
