"""auth_oauth: clients log in to a real server by tokens of an issuer that speaks HTTP."""

import json
import time
from base64 import b64decode, b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from xml.etree import ElementTree

from tests.integration.processes import HEADER, Peer, ProcessCase
from tests.plugins.auth_oauth.issuers import AUDIENCE, TokenIssuer

SASL = b"urn:ietf:params:xml:ns:xmpp-sasl"
TABLE = """\
[auth_oauth]
issuer = "{url}"
audience = "{audience}"
introspection_url = "{url}/introspect"
client_id = "xmppd"
secret_file = "{secret}"
checked_every_s = 0.5
"""


class OAuthTests(ProcessCase):
    """A domain whose people have tokens."""

    def setUp(self) -> None:
        super().setUp()
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
        self.issuer = TokenIssuer(f"http://127.0.0.1:{server.server_address[1]}", time.time)
        _Answers.issuer = self.issuer
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()

        def stop() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        self.addCleanup(stop)
        secret = self.directory / "secret-of-ours"
        secret.write_text("known to both\n", encoding="utf-8")
        text = self.config.read_text("utf-8").replace(
            'name = "localhost"', 'name = "localhost"\nauth = ["oauth"]'
        )
        text = text.replace('load = ["ping"]', 'load = ["ping", "auth_oauth"]')
        table = TABLE.format(url=self.issuer.url, audience=AUDIENCE, secret=secret)
        self.config.write_text(text + table, encoding="utf-8")

    def client(self, port: int) -> Peer:
        """Somebody who was told what there is."""
        client = Peer(port)
        self.addCleanup(client.close)
        client.send(HEADER)
        self.features = client.until(b"</stream:features>")
        return client

    def show(self, client: Peer, token: str) -> None:
        """Have a client show a token."""
        message = b64encode(f"n,,\x01auth=Bearer {token}\x01\x01".encode())
        client.send(b"<auth xmlns='%b' mechanism='OAUTHBEARER'>%b</auth>" % (SASL, message))

    def good_token(self) -> str:
        """One that the issuer says is good, too."""
        token = self.issuer.token()
        self.issuer.active[token] = self.issuer.claims()
        return token

    def test_login(self) -> None:
        """Whoever has a token is in, until it is revoked; nobody else is, and each of them is told
        where to get one.
        """
        self.start()
        port = self.ports()[1]
        romeo = self.client(port)
        self.assertEqual(self.features.count(b"<mechanism>OAUTHBEARER</mechanism>"), 2)
        for other in (b"PLAIN", b"SCRAM"):
            self.assertNotIn(other, self.features)
        token = self.good_token()
        self.show(romeo, token)
        romeo.until(b"<success")
        romeo.until(b">")
        romeo.send(HEADER)
        romeo.until(b"</stream:features>")
        self.assertIn("romeo@localhost", str(self.rows("user", "list")))
        for bad in (self.issuer.token(aud="another"), self.issuer.token(), "", "x.y.z"):
            with self.subTest(bad[:9]):
                client = self.client(port)
                self.show(client, bad)
                challenge = ElementTree.fromstring(client.until(b"</challenge>"))
                said = json.loads(b64decode(challenge.text or ""))
                self.assertEqual(said["status"], "invalid_token")
                self.assertIn(self.issuer.url, said["openid-configuration"])
                client.send(b"<response xmlns='%b'>AQ==</response>" % SASL)
                self.assertIn(b"<not-authorized/>", client.until(b"</failure>"))
        self.issuer.active.clear()
        self.assertIn(b"access of this client was revoked", romeo.until(b"</stream:stream>"))
        self.assertNotIn(token, self.text())

    def test_issuer_away(self) -> None:
        """While the issuer does not answer, clients are told to try again."""
        self.issuer.status = 500
        self.start()
        client = self.client(self.ports()[1])
        self.show(client, self.good_token())
        self.assertIn(b"<temporary-auth-failure/>", client.until(b"</failure>"))
        self.issuer.status = 200
        self.wait_for(self.is_let_in)

    def is_let_in(self) -> bool:
        """Whether a good token does now."""
        client = self.client(self.ports()[1])
        self.show(client, self.good_token())
        return b"success" in client.until(b">")

    def test_sentence(self) -> None:
        """A mistake in its table is told with its key."""
        text = self.config.read_text("utf-8").replace(f'audience = "{AUDIENCE}"\n', "")
        self.config.write_text(text, encoding="utf-8")
        self.assertIn("auth_oauth.audience is empty", self.ctl("config", "check", status=1))


class _Answers(BaseHTTPRequestHandler):
    """Has the issuer answer."""

    issuer: TokenIssuer

    def do_GET(self) -> None:
        """Answer a question."""
        self._answer(b"")

    def do_POST(self) -> None:
        """Answer a question about a token."""
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        said = self.issuer.answer(self.path, body, self.headers["Authorization"]).encode()
        self.send_response(self.issuer.status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


__all__ = ["OAuthTests"]
