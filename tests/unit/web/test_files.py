"""Files that go out: whole, in part, or not at all since the client has them."""

from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from tests.unit.web.web_case import WebCase
from xmppd.testing.web import WebAnswer
from xmppd.web.files import PIECE_BYTES, file_out
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse

T = TypeVar("T")


class SentFileTests(WebCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"0123456789")
        part = HTTPPath(path="/file", access=anybody, handle=self.file)
        self.house.server.http_paths.put(part, "tests")

    def file(self, request: HTTPRequest) -> Awaitable[HTTPResponse]:
        return file_out(
            request,
            self.path,
            self.house.run_in_thread,
            content_type="text/plain",
            headers=(("Cache-Control", "private"),),
        )

    def part(self, span: str, **headers: str) -> WebAnswer:
        return self.client.get("/file", {"Range": span, **headers})

    def test_whole(self) -> None:
        """The whole file, with what tells it from others."""
        answer = self.client.get("/file")
        self.assertEqual((answer.status, answer.body), (200, b"0123456789"))
        self.assertEqual(answer.headers["Content-Type"], "text/plain")
        self.assertEqual(answer.headers["Cache-Control"], "private")
        self.assertEqual(answer.headers["Accept-Ranges"], "bytes")

    def test_large(self) -> None:
        """A large one comes in pieces, and is the same."""
        data = bytes(range(256)) * (PIECE_BYTES // 100)
        self.path.write_bytes(data)
        self.assertEqual(self.client.get("/file").body, data)

    def test_head(self) -> None:
        """HEAD tells its size and sends nothing of it."""
        self.client.ask("HEAD", "/file")
        self.assertEqual(self.client.answer(has_body=False).headers["Content-Length"], "10")
        self.assertEqual(self.client.raw(), b"")

    def test_known(self) -> None:
        """A client that has it already is told so."""
        etag = self.client.get("/file").headers["ETag"]
        for known in (etag, f'"other", W/{etag}', "*"):
            answer = self.client.get("/file", {"If-None-Match": known})
            self.assertEqual((answer.status, answer.body), (304, b""))
        self.assertEqual(self.client.get("/file", {"If-None-Match": '"other"'}).status, 200)

    def test_parts(self) -> None:
        """One part is sent as it was asked for."""
        for span, body, told in (
            ("bytes=0-3", b"0123", "bytes 0-3/10"),
            ("bytes=8-", b"89", "bytes 8-9/10"),
            ("bytes=-3", b"789", "bytes 7-9/10"),
            ("bytes=5-999", b"56789", "bytes 5-9/10"),
            ("bytes=-999", b"0123456789", "bytes 0-9/10"),
        ):
            with self.subTest(span=span):
                answer = self.part(span)
                self.assertEqual((answer.status, answer.body), (206, body))
                self.assertEqual(answer.headers["Content-Range"], told)

    def test_whole_instead(self) -> None:
        """Several parts, or what is none, get the whole; so does a part of what is another file."""
        for span in ("bytes=0-1,3-4", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=x"):
            self.assertEqual(self.part(span).status, 200)
        self.assertEqual(self.part("bytes=0-1", **{"If-Range": '"other"'}).status, 200)
        etag = self.client.get("/file").headers["ETag"]
        self.assertEqual(self.part("bytes=0-1", **{"If-Range": etag}).status, 206)

    def test_beyond(self) -> None:
        """A part behind the end is refused, and the size told."""
        for span in ("bytes=10-", "bytes=99-100", "bytes=-0"):
            answer = self.part(span)
            self.assertEqual(answer.status, 416)
            self.assertEqual(answer.headers["Content-Range"], "bytes */10")

    def test_gone(self) -> None:
        """A file that is not there is a 404."""
        self.path.unlink()
        self.assertEqual(self.client.get("/file").status, 404)

    def test_cut(self) -> None:
        """One that is cut while it is sent ends the connection: the rest would be of no use."""
        self.path.write_bytes(bytes(3 * PIECE_BYTES))
        self.client.handler.pauseProducing()
        self.client.ask("GET", "/file")
        self.path.write_bytes(b"")
        self.client.handler.resumeProducing()
        self.assertTrue(self.client.transport.lost)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
