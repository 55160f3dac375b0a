"""What the checkup says of a web server that stands before ours."""

import json
import ssl
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.unit.checkup.test_checkup import CheckupCase
from xmppd.checkup import web
from xmppd.checkup.checked import Checked

CONFIG = """\
[[listen]]
endpoint = "epoll:443"
kind = "http"
tls = "direct"
"""


class Site(BaseHTTPRequestHandler):
    """A web server with the faults that a test wants."""

    status = 200
    origin = "*"
    upgrades = True
    limit_bytes = 1_000_000_000
    url = ""

    def do_GET(self) -> None:
        """Tell where the WebSocket is, or open it."""
        if self.path == web.HOST_META:
            self.answer(self.status, json.dumps({"links": self.links()}).encode())
        elif self.upgrades and self.headers.get("Upgrade") == "websocket":
            self.send_response(101)
            self.send_header("Sec-WebSocket-Protocol", "xmpp")
            self.end_headers()
        else:
            self.answer(400, b"")

    def do_PUT(self) -> None:
        """Refuse what is too large, and everything else as a slot that there is not."""
        large = int(self.headers["Content-Length"]) > self.limit_bytes
        self.answer(413 if large else 404, b"")

    def handle_expect_100(self) -> bool:
        """Decide by the headers, as proxies do."""
        return True

    def links(self) -> list[dict[str, str]]:
        """Where the WebSocket is."""
        return [{"rel": web.WEB_SOCKET, "href": self.url}] if self.url else []

    def answer(self, status: int, body: bytes) -> None:
        """Answer, and close."""
        self.send_response(status)
        if self.origin:
            self.send_header("Access-Control-Allow-Origin", self.origin)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class WebTests(CheckupCase):
    """The topic web."""

    def serve(self, **faults: object) -> int:
        """A site with these faults; the port of it."""
        site = type("Site", (Site,), faults)
        server = ThreadingHTTPServer(("127.0.0.1", 0), site)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(
            self.directory / "verona.lit.crt", self.directory / "verona.lit.key"
        )
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self.addCleanup(stop)
        self.zone.host("verona.lit", "127.0.0.1")
        port = server.server_address[1]
        if "url" not in faults:
            site.url = f"wss://verona.lit:{port}/ws"  # type: ignore[attr-defined]  # it is a Site
        return port

    async def found(self, port: int) -> list[Checked]:
        """What is said."""
        self.https_port = port
        return await self.look(web.look, CONFIG)

    async def test_well(self) -> None:
        """A site that tells where the WebSocket is, opens it and takes files is well."""
        found = await self.found(self.serve())
        self.assertEqual([row.result for row in found], ["ok", "ok"], found)

    async def test_origin(self) -> None:
        """One that pages of other sites may not read is of no use to them."""
        (first, *_) = await self.found(self.serve(origin=""))
        self.assertEqual(first.result, "bad")
        self.assertIn("Access-Control-Allow-Origin: *", first.says)

    async def test_not_there(self) -> None:
        """One that does not have it is told what to pass on."""
        (only,) = await self.found(self.serve(status=404))
        self.assertEqual(only.result, "warn")
        self.assertIn("the answer is 404", only.says)

    async def test_no_socket(self) -> None:
        """One that does not let a WebSocket through is named with the headers that it loses."""
        found = await self.found(self.serve(upgrades=False))
        self.assertEqual(found[0].result, "bad")
        self.assertIn("Upgrade, Connection", found[0].says)

    async def test_names_none(self) -> None:
        """One that names no WebSocket is a file that somebody has left there."""
        (only,) = await self.found(self.serve(url=""))
        self.assertIn("does not name a WebSocket", only.says)

    async def test_limit(self) -> None:
        """One that refuses large files is named with its setting."""
        found = await self.found(self.serve(limit_bytes=1_000_000))
        self.assertEqual(found[1].result, "bad")
        self.assertIn("client_max_body_size", found[1].says)

    async def test_nobody(self) -> None:
        """Where nobody answers, clients in browsers do not find the server."""
        port = self.serve()
        self.zone.forget("verona.lit")
        (only,) = await self.found(port)
        self.assertEqual(only.result, "warn")
