"""RequestReader: bytes of a connection in, heads and bodies of requests out. The one door to
httptools, which is llhttp: it refuses what is ambiguous (HT-5), and has no limits at all (HT-4).
"""

from dataclasses import dataclass, field
from typing import Protocol

import httptools

from xmppd.web.request import HTTPError

_BLANK_LINE = b"\r\n\r\n"
_LENGTH = b"content-length"
_LENGTH_LINE = b"\r\nContent-Length: "
_SECRETS = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

MAX_KNOWN_HEADS = 256
MAX_KNOWN_HEAD_BYTES = 2_048
MAX_DIGITS = 9
_known: dict[tuple[bytes, bytes], "Head"] = {}
"""Heads of POST that llhttp has read (HT-5), by their bytes before and behind the length that they
announce: a client says the same with each request, and llhttp would say the same of that. The
oldest is forgotten.
"""


@dataclass(slots=True)
class Head:
    """The head of a request, as it was sent, but for the length of its body: so it may be that of
    many requests, and is not changed once it was read.

    Attributes:
        target: The bytes between method and version.
        headers: Their names in small letters; without ``Content-Length``.
        names: Those of all headers.
        hosts: The values of ``Host``.
        chunked: Whether the body comes in chunks.
        method: Such as ``GET``.
        version: ``1.1``, or ``1.0``.
        keep_alive: Whether the client wants the connection to go on.
        upgrade: Whether the request asks for another protocol, so that llhttp reads no further.
    """

    target: bytes = b""
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    names: frozenset[bytes] = frozenset()
    hosts: tuple[bytes, ...] = ()
    chunked: bool = False
    method: str = ""
    version: str = ""
    keep_alive: bool = False
    upgrade: bool = False

    def all(self, name: bytes) -> list[bytes]:
        """The values of all headers of a name."""
        return [value for key, value in self.headers if key == name]


NO_HEAD = Head()
"""That of what is no request."""


class Sink(Protocol):
    """Takes what was read; nothing of it may raise."""

    def head(self, head: Head, length: int | None) -> None:
        """Take the head of a request and the length that it announces, if it does; its body
        follows, and its end.
        """

    def body(self, piece: bytes) -> None:
        """Take a piece of the body."""

    def end(self) -> None:
        """Note that the request is complete."""


class RequestReader:
    """The requests of one connection.

    llhttp cannot be stopped within the bytes that it was fed. But a head, and a body in chunks, end
    with an empty line, and any other body behind a number of bytes: so it is fed up to there, at
    most one request at a time, and what comes behind waits.

    Args:
        sink: Takes what was read.
        max_head_bytes: Of one head; and of all that is no body between two pieces of it.
    """

    __slots__ = (
        "_framing_bytes",
        "_head",
        "_in_body",
        "_left",
        "_max_head_bytes",
        "_parser",
        "_passes_by",
        "_sink",
        "_tail",
        "ended",
    )

    def __init__(self, sink: Sink, max_head_bytes: int) -> None:
        self._sink = sink
        self._max_head_bytes = max_head_bytes
        self._head = NO_HEAD
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._new_request()

    def _new_request(self) -> None:
        self._in_body = self._passes_by = False  # llhttp is not asked about such a request
        self._left: int | None = None  # of a body whose length was announced
        self._framing_bytes = 0  # since the last piece of the body
        self._tail = b""
        self.ended = False

    @property
    def begun(self) -> bool:
        """Whether a head has begun and is not complete."""
        return bool(self._framing_bytes) and not self._in_body

    @property
    def in_body(self) -> bool:
        """Whether a body is not complete."""
        return self._in_body

    def feed(self, data: bytes) -> bytes:
        """Read on, at most to the end of a request.

        Returns:
            The bytes that were not read, since a request has ended before them.

        Raises:
            HTTPError: This is no request, or too much of one; nothing more can be read.
        """
        if not self._framing_bytes and not self._in_body:
            data = self._behind_head(data)
        while data:
            piece, data = self._cut(data)
            self._feed(piece)
            if self.ended:
                self._next_request()
                break
        return data

    def _behind_head(self, data: bytes) -> bytes:
        """Read the head of a request by what is known of such; what is left to read."""
        end = data.find(_BLANK_LINE) + 4
        at = data.find(_LENGTH_LINE, 0, end) + len(_LENGTH_LINE)
        if not len(_LENGTH_LINE) <= at < end <= min(self._max_head_bytes, MAX_KNOWN_HEAD_BYTES):
            return data
        behind = data.find(b"\r", at)
        digits, parts = data[at:behind], (data[:at], data[behind:end])
        if len(digits) > MAX_DIGITS or not digits.isdigit() or digits.startswith(b"0"):
            return data
        known = _known.get(parts)
        if known is None:
            self._learn(data[:end], parts)
            return data[end:]
        self._head = known
        self._in_body = self._passes_by = True
        self._left = int(digits)
        self._sink.head(known, self._left)
        return data[end:]

    def _learn(self, data: bytes, parts: tuple[bytes, bytes]) -> None:
        """Have llhttp read a head, and know it from now on."""
        self._feed(data)
        head = self._head
        if (
            head.method == "POST"
            and head.keep_alive
            and not head.chunked
            and not head.upgrade
            and not head.names & _SECRETS
        ):
            if len(_known) >= MAX_KNOWN_HEADS:
                del _known[next(iter(_known))]
            _known[parts] = head

    def _cut(self, data: bytes) -> tuple[bytes, bytes]:
        """The bytes up to where this request may end, and those behind."""
        if self._left is not None:
            return data[: self._left], data[self._left :]
        tail = self._tail
        at = (tail + data[:3]).find(_BLANK_LINE) if tail else -1
        end = at + 4 - len(tail) if at >= 0 else data.find(_BLANK_LINE) + 4
        if at < 0 and end < 4:
            self._tail = (tail + data[-3:])[-3:]
            return data, b""
        self._tail = b""
        return data[:end], data[end:]

    def _feed(self, piece: bytes) -> None:
        left = self._left
        if self._passes_by and left is not None:
            self._left = left = left - len(piece)
            self._sink.body(piece)
            if not left:
                self.on_message_complete()
            return
        if left is None:
            self._framing_bytes += len(piece)
            if self._framing_bytes > self._max_head_bytes + (len(piece) if self._in_body else 0):
                raise HTTPError(431, f"The header is larger than {self._max_head_bytes} bytes.")
        try:
            self._parser.feed_data(piece)
        except httptools.HttpParserUpgrade:
            return
        except httptools.HttpParserError:
            raise HTTPError(400, "This is not an HTTP/1.1 request.") from None
        if left is not None:
            self._left = left - len(piece)

    def _next_request(self) -> None:
        if self._head.upgrade:  # llhttp would not read on
            self._begin()
        else:
            self._new_request()

    def close(self) -> None:
        """Let go of llhttp, which holds on to this."""
        del self._parser

    # -- called by httptools ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Expect a head."""
        self._head = Head()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._head.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; those behind a body in chunks are of no use."""
        if not self._in_body:
            self._head.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Take the head."""
        head, parser = self._head, self._parser
        lengths = head.all(_LENGTH)
        length = int(lengths[-1]) if lengths else None
        head.names = frozenset(name for name, _ in head.headers)
        head.headers = [header for header in head.headers if header[0] != _LENGTH]
        head.hosts = tuple(head.all(b"host"))
        head.chunked = b"transfer-encoding" in head.names
        head.method = parser.get_method().decode("ascii")
        head.version = parser.get_http_version()
        head.keep_alive = parser.should_keep_alive()
        head.upgrade = parser.should_upgrade()
        self._in_body = True
        self._framing_bytes = 0
        if not head.chunked and not head.upgrade:
            self._left = length
        if head.chunked and head.all(b"transfer-encoding") != [b"chunked"]:
            return  # an error follows
        self._sink.head(head, length)

    def on_body(self, body: bytes) -> None:
        """Take a piece of the body."""
        self._framing_bytes = 0
        self._sink.body(body)

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        self.ended = True
        self._sink.end()
