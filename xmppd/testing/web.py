"""WebClient: somebody who asks a house by HTTP.

::

    house = House("montague.lit", plugins=("guestbook",))
    page = WebClient(house).get("/guestbook")
    assert page.status == 200, page.text
"""

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesHeaderParser

from xmppd.config.config import ListenSettings
from xmppd.testing.network import Home, MemoryTransport
from xmppd.web.http_path import Site

_NO_HEADERS: Mapping[str, str] = {}


@dataclass(frozen=True)
class WebAnswer:
    """An answer, as the client reads it.

    Attributes:
        status: Such as 200.
        headers: By name, in any case.
        body: What follows them.
    """

    status: int
    headers: Message
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()


class WebClient:
    """A connection to a house.

    Args:
        house: Is asked.
        address: The client's.
        serve: What the listener serves.
        host: As the client names it; the house's domain unless it says otherwise.

    Attributes:
        handler: The server's side of the connection.
        transport: In memory.
    """

    def __init__(
        self,
        house: Home,
        address: str = "192.0.2.1",
        *,
        serve: tuple[Site, ...] = (),
        host: str = "",
    ) -> None:
        self.house = house
        self.host = host or house.domain
        listen = ListenSettings(endpoint="", kind="http", tls="none", serve=serve)
        self.handler = house.server.http_doors.listener(listen).buildProtocol(None)
        self.transport = MemoryTransport(address, self.handler)
        self.handler.makeConnection(self.transport)  # type: ignore[no-untyped-call]
        self._came = b""

    @property
    def closed(self) -> bool:
        """Whether the server has closed its side."""
        return self.transport.ended or self.transport.lost

    def send(self, data: bytes) -> None:
        """Send bytes, in one piece."""
        self.handler.dataReceived(data)
        self.house.network.settle()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        """Send a request, and wait for nothing."""
        said = {"Host": self.host, **headers}
        if body or method in ("POST", "PUT"):
            said.setdefault("Content-Length", str(len(body)))
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {said[name]}" for name in said)]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def raw(self) -> bytes:
        """All bytes that came since the last look."""
        self.house.network.settle()
        came, self._came = self._came + self.transport.take(), b""
        return came

    def answer(self, *, has_body: bool = True) -> WebAnswer:
        """The next answer, which must be there.

        Args:
            has_body: Whether the body that its head announces follows, as it does not for HEAD.
        """
        head, _, rest = self.raw().partition(b"\r\n\r\n")
        line, _, lines = head.partition(b"\r\n")
        assert line.startswith(b"HTTP/1.1 "), f"no answer has come: {line!r}"
        headers = BytesHeaderParser().parsebytes(lines)
        if not has_body:
            body = b""
        elif headers["Transfer-Encoding"] == "chunked":
            body, rest = _from_chunks(rest)
        else:
            size = int(headers.get("Content-Length", 0))
            body, rest = rest[:size], rest[size:]
            assert len(body) == size, f"only {len(body)} of {size} bytes have come"
        self._came = rest
        return WebAnswer(int(line.split()[1]), headers, body)

    def get(self, path: str, headers: Mapping[str, str] = _NO_HEADERS) -> WebAnswer:
        """The answer to GET."""
        self.ask("GET", path, headers=headers)
        return self.answer()

    def post(self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> WebAnswer:
        """The answer to POST."""
        self.ask("POST", path, body, headers)
        return self.answer()


def _from_chunks(data: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        piece, data = data[: int(size, 16)], data[int(size, 16) :]
        assert data.startswith(b"\r\n"), "a chunk has another length than was said"
        data = data[2:]
        body += piece
        if not piece:
            return body, data


__all__ = ["WebAnswer", "WebClient"]
