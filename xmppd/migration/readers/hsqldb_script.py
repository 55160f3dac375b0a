"""The ``.script`` file of HSQLDB, read as data (IM-2)."""

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from xmppd.migration.person import Remarks

MAX_LINE_BYTES = 16 << 20

_CREATE = re.compile(
    r"CREATE (?P<kind>MEMORY |CACHED |TEXT )?TABLE (?:[A-Z_0-9\"]+\.)?(?P<name>[A-Z_0-9]+)\s*"
    r"\((?P<inside>.*)\)\s*$",
    re.DOTALL,
)
_INSERT = re.compile(r"INSERT INTO (?:[A-Z_0-9\"]+\.)?(?P<name>[A-Z_0-9]+) VALUES\s*\(")
_VALUE = re.compile(
    r"\s*(?:'(?P<text>[^']*(?:''[^']*)*)'|X'(?P<bytes>[0-9A-Fa-f]*)'|(?P<null>NULL)"
    r"|(?P<true>TRUE)|(?P<false>FALSE)|(?P<number>-?\d+(?:\.\d+)?(?:E-?\d+)?))\s*(?P<end>[,)])"
)
_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_NO_COLUMNS = ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK")


def tables_of(path: Path, remarks: Remarks) -> sqlite3.Connection:
    """The tables of a script, in a file of SQLite without a name, which is gone with its
    connection.

    Args:
        path: Of the script.
        remarks: Gets a few words of each line that cannot be read.

    Raises:
        OSError: It cannot be read.
        ValueError: It is no script, or not all that the database has.
    """
    for ending in (".lck", ".log"):
        if path.with_suffix(ending).exists():
            raise ValueError(
                f"{path.with_suffix(ending).name} is beside it: stop Openfire first, so that the "
                f"script contains all data"
            )
    shelf = sqlite3.connect("", check_same_thread=False)
    widths: dict[str, int] = {}
    with path.open("rb") as file:
        for number, line in _lines(file):
            if line is None:
                remarks.append(f"line {number}: the line has more than {MAX_LINE_BYTES} bytes")
                continue
            try:
                _take_line(shelf, widths, line.decode("ascii").rstrip("\n"))
            except (ValueError, OverflowError, sqlite3.Error) as error:
                remarks.append(f"line {number}: {error}")
    shelf.commit()
    if not widths:
        raise ValueError("not a script of HSQLDB with tables")
    return shelf


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """The lines, each with its number; None for one that is too long."""
    number, is_whole = 0, True
    while piece := file.readline(MAX_LINE_BYTES):
        is_new, is_whole_now = is_whole, piece.endswith(b"\n")
        number += is_new
        if is_new:
            yield number, piece if len(piece) < MAX_LINE_BYTES else None
        is_whole = is_whole_now


def _take_line(shelf: sqlite3.Connection, widths: dict[str, int], line: str) -> None:
    """Take a line, if it is about a table or a row of one.

    Raises:
        ValueError: It cannot be read.
    """
    if made := _CREATE.match(line):
        if made["kind"] == "CACHED ":
            raise ValueError(f"the rows of {made['name']} are in another file, and are not read")
        columns = list(_columns(made["inside"]))
        inside = ", ".join(f'"{column}"' for column in columns)
        shelf.execute(f'CREATE TABLE "{made["name"]}" ({inside})')
        if "USERNAME" in columns:
            shelf.execute(f'CREATE INDEX "{made["name"]}_OF" ON "{made["name"]}" (USERNAME)')
        widths[made["name"]] = len(columns)
    elif (row := _INSERT.match(line)) and row["name"] in widths:  # others are HSQLDB's own
        values = list(_values(line, row.end()))
        if widths[row["name"]] != len(values):
            raise ValueError(f"a row of {row['name']} does not have the columns of its table")
        marks = ", ".join("?" * len(values))
        shelf.execute(f'INSERT INTO "{row["name"]}" VALUES ({marks})', values)


def _columns(inside: str) -> Iterator[str]:
    """The names of columns, of what stands in the parentheses of a table."""
    depth = start = 0
    for at, letter in enumerate(f"{inside},"):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and not depth:
            name = inside[start:at].split(None, 1)[0].strip('"')
            start = at + 1
            if name not in _NO_COLUMNS:
                yield name


def _values(line: str, at: int) -> Iterator[object]:
    """The values of a row.

    Raises:
        ValueError: One is none.
    """
    while True:
        found = _VALUE.match(line, at)
        if found is None:
            raise ValueError("an invalid value of a row")
        at = found.end()
        yield _value(found)
        if found["end"] == ")":
            return


def _value(found: "re.Match[str]") -> object:
    if (text := found["text"]) is not None:
        return _unescaped(text.replace("''", "'"))
    if (data := found["bytes"]) is not None:
        return bytes.fromhex(data)
    if (number := found["number"]) is not None:
        return int(number) if number.lstrip("-").isdecimal() else float(number)
    return None if found["null"] else int(found["true"] is not None)


def _unescaped(text: str) -> str:
    """A text whose letters beyond ASCII stand in UTF-16, as HSQLDB writes them."""
    if "\\u" not in text:
        return text
    found = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), text)
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


__all__ = ["tables_of"]
