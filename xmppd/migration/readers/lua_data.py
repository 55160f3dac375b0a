"""Data that Lua has written, read without running any of it (IM-2)."""

import re
from collections.abc import Iterator
from mmap import mmap
from typing import TypeAlias

MAX_DEPTH = 50
MAX_TOKEN_BYTES = 16 << 20
"""Of one text."""

MAX_NUMBER_BYTES = 1_000

MAX_VALUES = 500_000
"""In one value, those in tables of it included: each takes more memory than its text is long."""

_BYTES_AT_ONCE = 1 << 20
"""Of a file that is in no memory, to count its lines."""

_SPACE = re.compile(rb"(?:[ \t\r\n\f\v]|--\[(=*)\[.*?\]\1\]|--(?!\[=*\[)[^\n]*)+", re.DOTALL)
_NUMBER = re.compile(rb"-?(?:0[xX][0-9a-fA-F]+(?:\.[0-9a-fA-F]*)?(?:[pP][+-]?\d+)?"
                     rb"|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)")  # fmt: skip
_NAME = re.compile(rb"[A-Za-z_][A-Za-z0-9_]*")
_LONG = re.compile(rb"\[(=*)\[(?:\r\n|\n)?(.*?)\]\1\]", re.DOTALL)
_QUOTED = {quote: re.compile(rb"[^\\%b\n]+" % quote) for quote in (b'"', b"'")}
_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\\"'\n])|(\d{1,3})|x([0-9a-fA-F]{2})|u\{([0-9a-fA-F]{1,6})\}|(z)\s*)"
)
_ESCAPED = {
    b"a": b"\a",
    b"b": b"\b",
    b"f": b"\f",
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"v": b"\v",
}
_WORDS: dict[bytes, bool | None] = {b"true": True, b"false": False, b"nil": None}

LuaValue: TypeAlias = "str | bool | int | float | dict[LuaKey, LuaValue] | None"
LuaKey: TypeAlias = str | bool | int | float


class LuaData:
    """The data in a file of Lua: ``return`` and one value, or calls of ``item`` with one each.

    Args:
        data: The file.
    """

    def __init__(self, data: bytes | mmap) -> None:
        self._data = data
        self._at = 0
        self._values = 0
        self._counted, self._line = 0, 1

    def value(self) -> LuaValue:
        """The value that the file returns.

        Raises:
            ValueError: It is no data; the text begins with the line.
        """
        self._expect(b"return")
        found = self._value(0)
        self._take(b";")
        self._skip()
        if self._at != len(self._data):
            raise self._wrong("more than one value")
        return found

    def items(self) -> Iterator[LuaValue]:
        """The values with which ``item`` is called, in order.

        Raises:
            ValueError: It is no data; the text begins with the line.
        """
        self._skip()
        while self._at < len(self._data):
            self._expect(b"item")
            self._expect(b"(")
            self._values = 0
            yield self._value(0)
            self._expect(b")")
            self._take(b";")
            self._skip()

    def skip_item(self) -> bool:
        """Go on with the next call of ``item`` that begins a line; whether there is one."""
        self._at = self._data.find(b"\nitem(", self._at)
        return self._at >= 0

    # -- values -----------------------------------------------------------------------------------

    def _value(self, depth: int) -> LuaValue:
        self._skip()
        self._values += 1
        if self._values > MAX_VALUES:
            raise self._wrong(f"more than {MAX_VALUES} values in one entry")
        data, at = self._data, self._at
        first = data[at : at + 1]
        if first == b"{":
            return self._table(depth)
        if first in _QUOTED:
            return self._text(first)
        if first == b"[" and (long := self._long()):
            self._at = long.end()
            return self._decoded(long[2])
        if number := _NUMBER.match(data, at, at + MAX_NUMBER_BYTES):
            self._at = number.end()
            return _number(number[0])
        if (name := self._name()) and name[0] in _WORDS:
            self._at = name.end()
            return _WORDS[name[0]]
        raise self._wrong("invalid data")

    def _table(self, depth: int) -> dict[LuaKey, LuaValue]:
        if depth >= MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} levels of tables")
        self._at += 1
        table: dict[LuaKey, LuaValue] = {}
        count = 0
        while not self._take(b"}"):
            key: LuaValue
            if self._data[self._at : self._at + 1] == b"[" and not self._long():
                self._at += 1
                key = self._value(MAX_DEPTH)
                self._expect(b"]")
                self._expect(b"=")
            elif (name := self._name()) and name[0] not in _WORDS:
                self._at = name.end()
                key = name[0].decode()
                self._expect(b"=")
            else:
                count += 1
                key = count
            value = self._value(depth + 1)
            if key is None or isinstance(key, dict):
                raise self._wrong("an invalid key")
            if value is not None:
                table[key] = value
            if not (self._take(b",") or self._take(b";")):
                self._expect(b"}")
                break
        return table

    def _text(self, quote: bytes) -> str:
        self._at += 1
        data, pieces, size = self._data, [], 0
        while data[self._at : self._at + 1] != quote:
            if plain := _QUOTED[quote].match(data, self._at, self._at + MAX_TOKEN_BYTES):
                pieces.append(plain[0])
                self._at = plain.end()
            elif escape := _ESCAPE.match(data, self._at):
                pieces.append(self._escaped(escape))
                self._at = escape.end()
            else:
                raise self._wrong("a text without an end, or with an invalid escape")
            size += len(pieces[-1])
            if size > MAX_TOKEN_BYTES:
                raise self._wrong(f"a text of more than {MAX_TOKEN_BYTES} bytes")
        self._at += 1
        return self._decoded(b"".join(pieces))

    def _long(self) -> "re.Match[bytes] | None":
        """A text in long brackets, if one comes next."""
        return _LONG.match(self._data, self._at, self._at + MAX_TOKEN_BYTES)

    def _name(self) -> "re.Match[bytes] | None":
        """A name, if one comes next."""
        return _NAME.match(self._data, self._at, self._at + MAX_TOKEN_BYTES)

    def _escaped(self, found: "re.Match[bytes]") -> bytes:
        letter, decimal, hexadecimal, code, _ = found.groups()
        if letter is not None:
            return _ESCAPED.get(letter, letter)
        if decimal is not None:
            if int(decimal) > 255:
                raise self._wrong("an invalid escape")
            return bytes((int(decimal),))
        if hexadecimal is not None:
            return bytes.fromhex(hexadecimal.decode())
        if code is not None:
            if int(code, 16) > 0x10FFFF:
                raise self._wrong("an invalid escape")
            return chr(int(code, 16)).encode("utf-8", "replace")
        return b""

    def _decoded(self, data: bytes) -> str:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._wrong("a text that is not UTF-8") from error

    # -- tokens -----------------------------------------------------------------------------------

    def _skip(self) -> None:
        if space := _SPACE.match(self._data, self._at):
            self._at = space.end()

    def _take(self, token: bytes) -> bool:
        """Whether this token comes next; it is taken."""
        self._skip()
        comes = self._data[self._at : self._at + len(token)] == token
        self._at += len(token) * comes
        self._skip()
        return comes

    def _expect(self, token: bytes) -> None:
        if not self._take(token):
            raise self._wrong(f"{token.decode()} is missing")

    def _wrong(self, why: str) -> ValueError:
        while self._counted < self._at:  # each byte once, however many complaints there are
            end = min(self._at, self._counted + _BYTES_AT_ONCE)
            self._line += self._data[self._counted : end].count(b"\n")
            self._counted = end
        return ValueError(f"line {self._line}: {why}; only data is read")


def _number(text: bytes) -> int | float:
    written = text.decode()
    if "x" in written.lower():
        found = float.fromhex(written)
        return int(found) if found.is_integer() else found
    try:
        return int(written) if len(written) < 20 else float(written)
    except ValueError:
        return float(written)


__all__ = ["LuaData", "LuaKey", "LuaValue"]
