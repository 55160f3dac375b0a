"""Terms that Erlang has written, one after the other, read as data (IM-2)."""

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple, TypeAlias

MAX_DEPTH = 1_000
"""Of tuples and lists in one another: an element of XML takes two."""

MAX_TERM_BYTES = 16 << 20

MAX_SHOWN = 20
"""Characters of what is wrong, in a sentence about it."""

MAX_VALUES = 500_000
"""In one term, those in tuples and lists included: each takes more memory than its text is long."""


class Atom(str):
    """A name, such as ``none``."""

    __slots__ = ()


ErlangValue: TypeAlias = (
    "Atom | bytes | int | float | tuple[ErlangValue, ...] | list[ErlangValue]"
    " | dict[ErlangValue, ErlangValue]"
)

_QUOTED = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_TOKEN = re.compile(
    rb"\s*(?:(?P<open>\{|\[|#\{)|(?P<close>[}\]])|(?P<next>,|=>|\|)"
    rb"|<<(?P<binary>\s*(?:%b\s*)+|[\d,\s]*)(?P<utf8>/utf8)?\s*>>"
    rb"|(?P<number>-?\d+(?:\.\d+(?:[eE][-+]?\d+)?)?)"
    rb"|(?P<atom>[a-z][A-Za-z0-9_@]*)|'(?P<named>[^'\\]*(?:\\.[^'\\]*)*)'"
    rb"|(?P<string>%b))" % (_QUOTED, _QUOTED),
    re.DOTALL,
)
_INSIDE = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(
    rb"\\(?:([0-7]{1,3})|x\{([0-9a-fA-F]{1,6})\}|x([0-9a-fA-F]{2})|(.))", re.DOTALL
)
_ESCAPED = {
    b"n": "\n", b"r": "\r", b"t": "\t", b"b": "\b", b"f": "\f", b"v": "\v", b"e": "\x1b",
    b"s": " ", b"d": "\x7f",
}  # fmt: skip
_CLOSED_BY = {b"{": b"}", b"[": b"]", b"#{": b"}"}


class ErlangTerm(NamedTuple):
    """One term of a file, as it is written.

    Attributes:
        data: Its text; None if it is longer than any may be.
        offset: Of its first byte in the file.
        line: Its first one, from 1.
    """

    data: bytes | None
    offset: int
    line: int


def terms_of(file: BinaryIO) -> Iterator[ErlangTerm]:
    """The terms of a file in their order, each of which ends with a full stop and the line: no text
    in it has a line break of its own.

    Raises:
        ValueError: The file ends in the midst of one; the text begins with the line.
    """
    pieces: list[bytes] = []
    offset = size = lines = 0
    line = 1
    while piece := file.readline(MAX_TERM_BYTES):
        lines += piece.endswith(b"\n")
        if not size:
            if not piece.strip():
                offset += len(piece)
                continue
            line = lines + (not piece.endswith(b"\n"))
        size += len(piece)
        pieces.append(piece)
        if size > MAX_TERM_BYTES:
            del pieces[:]
        if piece.endswith(b"\n") and piece.rstrip().endswith(b"."):
            yield ErlangTerm(b"".join(pieces) if size <= MAX_TERM_BYTES else None, offset, line)
            offset, size = offset + size, 0
            del pieces[:]
    if size:
        raise ValueError(f"line {line}: the term that begins there has no end; is the file whole?")


def value_of(data: bytes, first: int | None = None) -> ErlangValue:
    """The value of a term.

    Args:
        data: Its text.
        first: So many things of the outermost tuple are read, and nothing behind them; None for
            all.

    Raises:
        ValueError: It is no data.
    """
    reader = _TermReader(first)
    at = 0
    while not reader.is_done:
        token = _TOKEN.match(data, at)
        if token is None:
            raise ValueError(f"this is not an Erlang term: {_shown(data, at)}")
        reader.take(token)
        at = token.end()
    if reader.is_whole and data[at:].strip() not in (b".", b""):
        raise ValueError("more than one value")
    return reader.found


class _TermReader:
    """Makes values of tokens, without a call of itself: texts may nest as deep as they want to."""

    def __init__(self, first: int | None) -> None:
        self._first = first
        self._opened: list[tuple[bytes, list[ErlangValue]]] = []
        self._expects_value = True
        self._values = 0
        self.found: ErlangValue = ()
        self.is_done = self.is_whole = False

    def take(self, token: "re.Match[bytes]") -> None:
        """Take the next token.

        Raises:
            ValueError: It cannot stand there.
        """
        kind = token.lastgroup
        if kind == "next":
            self._take_comma()
        elif kind == "close":
            self._close(token["close"])
        elif not self._expects_value:
            raise ValueError("two values without a comma")
        elif kind == "open":
            if len(self._opened) >= MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} levels of values")
            self._opened.append((token["open"], []))
        else:
            self._add(_simple(token))

    def _take_comma(self) -> None:
        if self._expects_value or not self._opened:
            raise ValueError("there is one comma too many")
        self._expects_value = True
        if len(self._opened) == 1 and len(self._opened[0][1]) == self._first:
            self.found, self.is_done = tuple(self._opened[0][1]), True

    def _close(self, bracket: bytes) -> None:
        if not self._opened or _CLOSED_BY[self._opened[-1][0]] != bracket:
            raise ValueError("brackets that do not match")
        how, inside = self._opened.pop()
        if self._expects_value and inside:
            raise ValueError("there is one comma too many")
        self._add(_closed(how, inside))

    def _add(self, value: ErlangValue) -> None:
        self._expects_value = False
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError(f"more than {MAX_VALUES} values in one record")
        if self._opened:
            self._opened[-1][1].append(value)
        else:
            self.found, self.is_done, self.is_whole = value, True, True


def _closed(how: bytes, found: list[ErlangValue]) -> ErlangValue:
    if how == b"{":
        return tuple(found)
    if how == b"[":
        return found
    try:
        return dict(zip(found[::2], found[1::2], strict=True))
    except (TypeError, ValueError) as error:
        raise ValueError("a malformed map") from error


def _simple(token: "re.Match[bytes]") -> ErlangValue:
    if (inside := token["binary"]) is not None:
        if b'"' in inside:
            is_utf8 = token["utf8"] is not None
            return b"".join(_unescaped(each, is_utf8) for each in _INSIDE.findall(inside))
        try:
            return bytes(int(each) for each in inside.split(b",")) if inside.strip() else b""
        except ValueError as error:
            raise ValueError("a malformed binary") from error
    if (number := token["number"]) is not None:
        return float(number) if b"." in number else int(number)
    if (string := token["string"]) is not None:
        return _unescaped(string[1:-1], is_utf8=True)
    name = token["atom"] if token["atom"] is not None else _unescaped(token["named"], is_utf8=True)
    return Atom(name.decode())


def _unescaped(data: bytes, is_utf8: bool) -> bytes:
    """The bytes that stand for a text in quotes."""
    if b"\\" not in data:
        return data

    def meant(found: "re.Match[bytes]") -> bytes:
        octal, code, two, letter = found.groups()
        if letter is not None:
            return _ESCAPED[letter].encode() if letter in _ESCAPED else letter
        number = int(octal, 8) if octal is not None else int(code or two, 16)
        if number < 128 or (number < 256 and not is_utf8):
            return bytes((number,))
        if number > 0x10FFFF:
            raise ValueError("an invalid escape")
        return chr(number).encode("utf-8", "replace")

    return _ESCAPE.sub(meant, data)


def _shown(data: bytes, at: int) -> str:
    """The next few characters, or that there are none."""
    left = data[at:].decode("utf-8", "replace").strip()
    more = "…" if len(left) > MAX_SHOWN else ""
    return f'"{left[:MAX_SHOWN]}{more}"' if left else "the end of the file"


__all__ = ["Atom", "ErlangTerm", "ErlangValue", "terms_of", "value_of"]
