"""HTTPRequest and HTTPResponse: what HTTP asks and what it is answered, as values."""

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from msgspec import Struct, field, structs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from xmppd.net.transport import Transport

Pairs = tuple[tuple[str, str], ...]
TEXT = "text/plain; charset=utf-8"
ALWAYS: Pairs = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
"""What every answer says, unless it says otherwise (HT-9)."""

READ_AHEAD_BYTES = 65_536
"""The bytes of a body that may wait for the handler; then the connection is read no more."""

REASONS: Mapping[int, str] = {
    100: "Continue",
    101: "Switching Protocols",
    200: "OK",
    201: "Created",
    202: "Accepted",
    204: "No Content",
    206: "Partial Content",
    302: "Found",
    303: "See Other",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    416: "Range Not Satisfiable",
    417: "Expectation Failed",
    421: "Misdirected Request",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    507: "Insufficient Storage",
}


class BodyLost(Exception):
    """An error: the connection was lost, or fell silent, before the body was complete."""


class BodyStream:
    """The body of a request, read piece by piece as it arrives.

    Args:
        pause: Reads the connection no more, since enough waits here.
        resume: Reads it again.
        length: The bytes that were announced; None if they were not.

    Attributes:
        length: The same.
    """

    def __init__(
        self, pause: Callable[[], None], resume: Callable[[], None], length: int | None = None
    ) -> None:
        self.length = length
        self._pause = pause
        self._resume = resume
        self._pieces: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._paused = self._ended = False
        self._error: Exception | None = None
        self._reader: Deferred[None] | None = None

    def arrived(self, piece: bytes) -> None:
        """Take a piece that has arrived."""
        self._pieces.append(piece)
        self._waiting_bytes += len(piece)
        if self._waiting_bytes > READ_AHEAD_BYTES and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Note that nothing more comes, or that the rest is lost."""
        self._ended = True
        self._error = self._error or error
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.callback(None)

    async def read(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            BodyLost: The end will never come.
        """
        while not self._pieces and not self._ended:
            self._reader = Deferred()
            await self._reader
        if not self._pieces:
            if self._error is not None:
                raise self._error
            return b""
        piece = self._pieces.popleft()
        self._waiting_bytes -= len(piece)
        if self._paused and self._waiting_bytes <= READ_AHEAD_BYTES // 2:
            self._paused = False
            self._resume()
        return piece

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece


def _nothing() -> None:
    """Do nothing: there is no body."""


def no_body() -> BodyStream:
    """The stream of a request without a body, or whose body is read already: nothing is in it, so
    all have the same.
    """
    return _NO_BODY


_NO_BODY = BodyStream(_nothing, _nothing, 0)
_NO_BODY.end()


def header(headers: Iterable[tuple[bytes, bytes]], name: str) -> str:
    """The value of a header, several joined by commas (:rfc:`9110#section-5.3`); empty without
    one.
    """
    wanted = name.encode("ascii")
    return b", ".join([value for key, value in headers if key == wanted]).decode("latin-1")


class Once(Struct):
    """Something that happens once, as a Deferred without a result: a request has one, and most
    often it ends within microseconds.

    Attributes:
        has_happened: Whether it has.
    """

    has_happened: bool = False
    _waiting: list[Callable[[], object]] = []

    def then(self, function: Callable[[], object]) -> None:
        """Call a function when it happens; at once if it has."""
        if self.has_happened:
            function()
        else:
            self._waiting.append(function)

    def happen(self) -> None:
        """Call those that wait for it."""
        self.has_happened = True
        for function in self._waiting:
            function()
        self._waiting.clear()


class HTTPRequest(Struct, frozen=True, kw_only=True):
    """A request.

    Attributes:
        method: Such as ``GET``; never ``HEAD``, which is answered as ``GET`` is.
        host: Of the ``Host`` header, in small letters and without its port.
        port: That port; empty if it named none.
        path: Decoded, once and for all (HT-2).
        query: As it was sent, behind the question mark.
        headers: As they were sent, in their order, but for ``Content-Length``; their names in small
            letters.
        address: The IP address of whoever asks, whatever proxies are in between.
        encrypted: Whether it came by TLS, here or at a trusted proxy.
        body: All of it, for a path that takes small ones.
        stream: The same for a path that takes it piece by piece.
        gone: Happens when the connection is lost, or the answer has left.
    """

    method: str
    host: str = ""
    port: str = ""
    path: str = "/"
    query: str = ""
    headers: Sequence[tuple[bytes, bytes]] = ()
    address: str = ""
    encrypted: bool = False
    body: bytes = b""
    stream: BodyStream = field(default_factory=no_body)
    gone: Once = field(default_factory=Once)

    def with_body(self, body: bytes, stream: BodyStream | None = None) -> "HTTPRequest":
        """The same request with its body, or with a stream of it."""
        return structs.replace(self, body=body, stream=stream or _NO_BODY)

    def header(self, name: str) -> str:
        """The value of the header of a name in small letters: see :func:`header`."""
        return header(self.headers, name)

    @property
    def origin(self) -> str:
        """The scheme, host and port by which it came, as the client sees them."""
        scheme = "https" if self.encrypted else "http"
        return f"{scheme}://{self.host}{self.port and ':' + self.port}"


@dataclass(frozen=True, slots=True)
class Pieces:
    """A body that is sent piece by piece, the next one when the connection has taken the last.

    Attributes:
        source: Gives them.
        length: The bytes of all of them; None if nobody knows, and they are sent in chunks.
        close: Called when no more is wanted, also if not all was.
    """

    source: AsyncIterator[bytes]
    length: int | None = None
    close: Callable[[], None] = _nothing


class Successor(Protocol):
    """Has a connection once HTTP is over on it: another protocol."""

    def begin(self) -> None:
        """Begin, when the answer that said so is written."""

    def dataReceived(self, data: bytes, /) -> None:
        """Take bytes that came."""

    def connectionLost(self, reason: Failure, /) -> None:
        """Note that the connection is gone."""

    def sweep(self, now: float) -> None:
        """End what takes too long."""


class HTTPResponse(Struct, frozen=True):
    """An answer.

    Attributes:
        status: Such as 200.
        body: Its bytes, or where they come from.
        headers: Beside those that every answer has (HT-9).
        becomes: Of a 101: takes the connection over from here, given its transport.
        always: The headers that every answer has, and others that are the same for many, since
            their lines are kept; those of a page are stricter.
    """

    status: int = 200
    body: bytes | Pieces = b""
    headers: Pairs = ()
    becomes: Callable[[Transport], Successor] | None = None
    always: Pairs = ALWAYS


Answer = HTTPResponse | Awaitable[HTTPResponse]


class HTTPError(Exception):
    """An error with the status and a sentence for the client.

    Args:
        status: Such as 404.
        sentence: The reason, and what to change.
        headers: Beside those that every answer has.
    """

    def __init__(self, status: int, sentence: str, headers: Pairs = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers

    def response(self) -> HTTPResponse:
        """The answer that says so."""
        return said(self.status, str(self), self.headers)


def said(status: int, sentence: str, headers: Pairs = ()) -> HTTPResponse:
    """An answer of one sentence."""
    return HTTPResponse(status, f"{sentence}\n".encode(), (("Content-Type", TEXT), *headers))
