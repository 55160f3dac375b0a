"""HTTPExchange: one request of a connection and its answer; and how an answer is written (HT-9)."""

from email.utils import formatdate
from functools import lru_cache

from xmppd.web.http_path import NOWHERE, Guarded
from xmppd.web.request import (
    REASONS,
    BodyStream,
    HTTPError,
    HTTPRequest,
    HTTPResponse,
    Pairs,
    Pieces,
)
from xmppd.web.request_reader import Head

NONE: Pairs = ()
STRICT: Pairs = (("Strict-Transport-Security", "max-age=31536000"),)
WITHOUT_BODY = frozenset((101, 204, 304))


@lru_cache(1)
def _date(second: int) -> bytes:
    """The line that says when it is, which is the same for a second."""
    return f"Date: {formatdate(second, usegmt=True)}\r\n".encode()


@lru_cache(64)
def _begun(status: int, always: Pairs, extra: Pairs, cross_origin: Pairs) -> bytes:
    """The lines with which many answers begin.

    Raises:
        ValueError: A header has a line break.
    """
    first = f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}\r\n".encode()
    return first + _lines((*always, *extra, *cross_origin))


def _lines(headers: Pairs) -> bytes:
    """The lines of headers.

    Raises:
        ValueError: A header has a line break.
    """
    text = "".join([f"{name}: {value}\r\n" for name, value in headers])
    if text.count("\r") != len(headers) or text.count("\n") != len(headers):
        raise ValueError("a header of an answer has a line break")
    return text.encode("latin-1")


class HTTPExchange:
    """A request under way.

    Attributes:
        head: As it was sent.
        length: The bytes of its body that it announces; None if it does not.
        request: The same as a value, once it is known to make sense.
        path: Who answers it.
        response: The answer, once there is one.
        complete: Whether all of its body was read.
        awaits_continue: Whether the client waits to be told that its body is wanted.
        keep_alive: Whether the connection goes on behind the answer.
        pieces: Of a small body, as far as it has come.
        stream: Of a large one.
    """

    __slots__ = (
        "awaits_continue",
        "complete",
        "head",
        "keep_alive",
        "length",
        "path",
        "pieces",
        "request",
        "response",
        "size_bytes",
        "stream",
    )

    def __init__(self, head: Head, length: int | None = None) -> None:
        self.head = head
        self.length = length
        self.request: HTTPRequest | None = None
        self.path: Guarded | None = None
        self.response: HTTPResponse | None = None
        self.complete = self.awaits_continue = False
        self.keep_alive = head.keep_alive
        self.pieces: list[bytes] | None = None
        self.size_bytes = 0
        self.stream: BodyStream | None = None

    @property
    def has_body(self) -> bool:
        """Whether a body follows the head."""
        return self.head.chunked or bool(self.length)

    @property
    def wants_body(self) -> bool:
        """Whether somebody takes the body."""
        return self.response is None and (self.pieces is not None or self.stream is not None)

    @property
    def route(self) -> str:
        """The path that is answered for, without what may be secret in one below it."""
        return self.path.part.path if self.path is not None else NOWHERE

    def refusal(self, error: HTTPError) -> HTTPResponse:
        """The answer that says what is wrong, in the words of whoever owns the path."""
        return error.response() if self.path is None else self.path.part.refuse(error)

    def is_chunked(self, response: HTTPResponse) -> bool:
        """Whether an answer is sent in chunks, since nobody knows its length."""
        body = response.body
        return isinstance(body, Pieces) and body.length is None and self.head.version != "1.0"

    def head_of(self, response: HTTPResponse, wall_s: float, extra: Pairs) -> bytes:
        """The head of the answer.

        Args:
            response: The answer.
            wall_s: The time, in seconds since 1970.
            extra: Further headers.

        Raises:
            ValueError: A header has a line break.
        """
        status, body, cross_origin = response.status, response.body, NONE
        if self.request is not None and self.path is not None:
            cross_origin = self.path.part.cross_origin(self.request)
        head = _begun(status, response.always, extra, cross_origin) + _date(int(wall_s))
        if response.headers:
            head += _lines(response.headers)
        if status not in WITHOUT_BODY:
            length = body.length if isinstance(body, Pieces) else len(body)
            if length is not None:
                head += b"Content-Length: %d\r\n" % length
            elif self.is_chunked(response):
                head += b"Transfer-Encoding: chunked\r\n"
        if status != 101 and not self.keep_alive:
            head += b"Connection: close\r\n"
        return head + b"\r\n"
