"""auth_http: a client logs in to a real server, which asks a real service."""

import json
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.integration.processes import HEADER, Peer, ProcessCase

AUTH = """\
[auth_http]
url = "http://127.0.0.1:{port}/"
"""


class Directory(BaseHTTPRequestHandler):
    """Knows romeo; and, as some do, lets anybody in without a password."""

    def do_POST(self) -> None:
        """Answer."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        right = asked["account"] == "romeo@localhost" and asked["password"] in ("but soft", "")
        self.send_response(200 if right else 403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class DirectoryTests(ProcessCase):
    """A domain whose accounts a service knows."""

    def setUp(self) -> None:
        super().setUp()
        service = ThreadingHTTPServer(("127.0.0.1", 0), Directory)
        thread = Thread(target=service.serve_forever, args=(0.05,), daemon=True)
        thread.start()

        def stop() -> None:
            service.shutdown()
            service.server_close()
            thread.join()

        self.addCleanup(stop)
        text = self.config.read_text(encoding="utf-8").replace(
            'name = "localhost"', 'name = "localhost"\nauth = ["http"]'
        )
        self.text_without = text
        text = text.replace('load = ["ping"]', 'load = ["ping", "auth_http"]')
        self.config.write_text(text + AUTH.format(port=service.server_address[1]), "utf-8")

    def test_login(self) -> None:
        """Whom the service knows is in, with an account that is listed; nobody else is."""
        self.start()
        port = self.ports()[1]
        answers = [self.refusal(port, *given) for given in (("romeo", "x"), ("juliet", "but soft"))]
        self.assertIn(b"<not-authorized/>", answers[0])
        self.assertEqual(answers[0], answers[1])
        self.assertIn(b"<malformed-request/>", self.refusal(port, "romeo", ""))
        self.assertEqual(self.rows("user", "list"), [])
        romeo = Peer(port)
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", "but soft")
        self.assertIn("romeo@localhost", str(self.rows("user", "list")))

    def refusal(self, port: int, name: str, password: str) -> bytes:
        """What somebody is answered whom nobody knows."""
        stranger = Peer(port)
        self.addCleanup(stranger.close)
        token = b64encode(f"\0{name}\0{password}".encode())
        stranger.send(HEADER)
        stranger.until(b"</stream:features>")
        stranger.send(
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%b</auth>" % token
        )
        return stranger.until(b"</failure>")

    def test_no_plugin(self) -> None:
        """Without the plugin the server does not start, and says what to load."""
        self.config.write_text(self.text_without, "utf-8")
        self.assertIn('its plugin to plugins.load ("auth_http"', self.refused_start())


__all__ = ["DirectoryTests"]
