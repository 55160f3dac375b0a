"""A house with a few paths, for tests of HTTP."""

from collections.abc import AsyncIterator

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse, Pieces, said


class WebCase(SynchronousTestCase):
    """A house at ``montague.lit`` with paths that say what they were asked.

    Attributes:
        asked: The requests that have come to a handler.
        waiting: The answers that ``/later`` has not given yet.
        uploaded: The pieces that ``/upload/`` has read.
    """

    settings: dict[str, object] = {}

    def setUp(self) -> None:
        self.asked: list[HTTPRequest] = []
        self.waiting: list[Deferred[HTTPResponse]] = []
        self.uploaded: list[bytes] = []
        self.house = House(config=house_config("montague.lit", web=self.settings))
        for path in self.paths():
            self.house.server.http_paths.put(path, "tests")
        self.client = WebClient(self.house)

    def paths(self) -> list[HTTPPath]:
        """What is served."""
        return [
            HTTPPath(path="/hello", access=anybody, handle=self.hello),
            HTTPPath(path="/below/", access=anybody, handle=self.hello),
            HTTPPath(path="/form", methods=("POST",), access=anybody, handle=self.hello,
                     body="small", origins=("*",)),
            HTTPPath(path="/later", access=anybody, handle=self.later),
            HTTPPath(path="/upload/", methods=("PUT",), access=anybody, handle=self.upload,
                     body="stream"),
            HTTPPath(path="/slow", methods=("PUT",), access=anybody, handle=self.later,
                     body="stream"),
            HTTPPath(path="/pieces", access=anybody, handle=self.pieces),
            HTTPPath(path="/broken", access=anybody, handle=self.broken, origins=("*",)),
            HTTPPath(path="/closed", access=self.closed, handle=self.hello),
            HTTPPath(path="/numbers", access=anybody, handle=self.hello, site="metrics"),
        ]  # fmt: skip

    def hello(self, request: HTTPRequest) -> HTTPResponse:
        self.asked.append(request)
        return said(200, f"{request.path} {request.body.decode()}".rstrip())

    def later(self, request: HTTPRequest) -> Deferred[HTTPResponse]:
        self.asked.append(request)
        self.waiting.append(Deferred())
        return self.waiting[-1]

    async def upload(self, request: HTTPRequest) -> HTTPResponse:
        self.asked.append(request)
        async for piece in request.stream:
            self.uploaded.append(piece)
        return said(201, f"{sum(map(len, self.uploaded))} bytes")

    def pieces(self, request: HTTPRequest) -> HTTPResponse:
        async def source() -> AsyncIterator[bytes]:
            for piece in (b"one ", b"", b"two ", b"three"):
                yield piece

        return HTTPResponse(200, Pieces(source(), 13 if request.query == "13" else None))

    def broken(self, request: HTTPRequest) -> HTTPResponse:
        raise ZeroDivisionError

    def closed(self, request: HTTPRequest) -> None:
        raise HTTPError(403, "Not for you.")
