"""HTTP over real sockets, in the hub and out of it, with TLS and without."""

import ssl
from collections.abc import Awaitable
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from xmppd.config.config import DomainSettings, ListenSettings, TLSSettings, WebSettings
from xmppd.host.machine import Descriptors
from xmppd.net.certificate import make_self_signed
from xmppd.net.tls import TLS
from xmppd.web.files import file_out
from xmppd.web.http_connections import HTTPConnections
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import HTTPPath, HTTPPaths, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse, said

MANY = bytes(range(256)) * 12_000


class SocketCase(TestCase):
    """Listeners that serve a file, take one, and say hello.

    Attributes:
        endpoint: Its kind.
    """

    endpoint = "epoll"

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.directory = Path(self.mktemp())
        self.directory.mkdir()
        self.file = self.directory / "file"
        self.file.write_bytes(MANY)
        self.certificate = self.directory / "crt"
        make_self_signed("localhost", self.certificate, self.directory / "key")
        domain = DomainSettings(
            name="localhost", certificate=str(self.certificate), key=str(self.directory / "key")
        )
        paths = HTTPPaths()
        for part in (
            HTTPPath(path="/hello", access=anybody, handle=lambda request: said(200, "hello")),
            HTTPPath(path="/file", access=anybody, handle=self.send),
            HTTPPath(path="/up", methods=("PUT",), access=anybody, handle=self.take, body="stream"),
        ):
            paths.put(part, "tests")
        connections = HTTPConnections(WebSettings(), reactor, Descriptors(1_000))
        self.doors = HTTPDoors(
            paths,
            connections,
            ("localhost",),
            TLS(TLSSettings(), (domain,)),
            reactor,
            Clock().seconds,
        )
        self.addCleanup(self.close)
        self.ports = {}
        for tls in ("none", "direct"):
            endpoint = serverFromString(reactor, f"{self.endpoint}:0:interface=127.0.0.1")
            listen = ListenSettings(endpoint="", kind="http", tls=tls)
            self.ports[tls] = await endpoint.listen(self.doors.listener(listen))

    async def close(self) -> None:
        for port in self.ports.values():
            await port.stopListening()
        await self.doors.connections.close()

    def send(self, request: HTTPRequest) -> Awaitable[HTTPResponse]:
        return file_out(request, self.file, deferToThread, content_type="text/plain")

    async def take(self, request: HTTPRequest) -> HTTPResponse:
        data = b""
        async for piece in request.stream:
            data += piece
        return said(201 if data == MANY else 400, f"{len(data)} bytes")

    def talk(self, tls: str) -> list[tuple[int, int]]:
        """What Python's own client gets on one connection: statuses, and sizes of bodies."""
        port = self.ports[tls].getHost().port
        if tls == "direct":
            context = ssl.create_default_context(cafile=str(self.certificate))
            client: HTTPConnection = HTTPSConnection("localhost", port, context=context)
        else:
            client = HTTPConnection("localhost", port)
        seen = []
        for method, path, body in (
            ("GET", "/hello", None),
            ("PUT", "/up", MANY),
            ("GET", "/file", None),
            ("PUT", "/up", iter([MANY[:1_000_000], MANY[1_000_000:]])),
            ("HEAD", "/file", None),
            ("GET", "/hello", None),
        ):
            client.request(method, path, body)
            answer = client.getresponse()
            read = answer.read()
            if path == "/file" and read:
                assert read == MANY, "the file has changed on its way"
            seen.append((answer.status, len(read)))
        client.close()
        return seen


class HubTests(SocketCase):
    async def test_talk(self) -> None:
        """Requests, a large body up and down, with and without its length, on one connection."""
        for tls in ("none", "direct"):
            seen = await deferToThread(self.talk, tls)
            self.assertEqual(
                seen, [(200, 6), (201, 14), (200, len(MANY)), (201, 14), (200, 0), (200, 6)]
            )

    async def test_application_protocol(self) -> None:
        """Who speaks HTTP/2 only is refused by TLS (HT-10)."""

        def connect(*protocols: str) -> str | None:
            context = ssl.create_default_context(cafile=str(self.certificate))
            context.set_alpn_protocols(list(protocols))
            port = self.ports["direct"].getHost().port
            client = HTTPSConnection("localhost", port, context=context)
            client.connect()
            try:
                chosen: str | None = client.sock.selected_alpn_protocol()
            finally:
                client.close()
            return chosen

        self.assertEqual(await deferToThread(connect, "h2", "http/1.1"), "http/1.1")
        with self.assertRaises(ssl.SSLError):
            await deferToThread(connect, "h2")


class TwistedTests(HubTests):
    endpoint = "tcp"
