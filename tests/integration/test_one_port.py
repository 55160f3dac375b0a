"""XMPP and HTTP on one port, told apart by TLS (HT-12)."""

import signal
import ssl

from tests.integration.test_doors import EPOLL, STOCK, DoorCase, Wire

SHARED = """\
[[listen]]
endpoint = "{endpoint}"
tls = "direct"
serve = ["web"]
"""
ASKED = b"GET /.well-known/host-meta HTTP/1.1\r\nHost: localhost\r\n\r\n"


class OnePortTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure("".join(SHARED.format(endpoint=each) for each in (EPOLL, STOCK)))
        self.process = self.start()
        self.doors = dict(zip((EPOLL, STOCK), self.ports(), strict=True))
        self.ctl("user", "add", "romeo", "--stdin", input="a rose\n")

    def test_both(self) -> None:
        """Who asks for XMPP has a stream, with channel binding and all; who asks for HTTP or for
        nothing has that, and is led to the same port.
        """
        for endpoint, port in self.doors.items():
            with self.subTest(endpoint=endpoint):
                client = Wire(port, starttls=False, alpn=["http/1.1", "xmpp-client"], piece=7)
                features = client.features()
                self.assertEqual(client.tls.selected_alpn_protocol(), "xmpp-client")
                self.assertIn(b"SCRAM-SHA-256-PLUS", features)
                self.assertIn(b"'tls-exporter'", features)
                self.assertNotIn(b"<starttls", features)
                client.log_in("romeo")
                client.send(b"<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")
                self.assertIn(b"result", client.until(b"/>"))
                [session] = self.rows("session", "list")
                self.assertTrue(session["encrypted"], session)
                client.send(b"</stream:stream>")
                client.until(b"</stream:stream>")
                client.close()
                for alpn in (["http/1.1"], ["h2", "http/1.1"], None):
                    browser = Wire(port, starttls=False, alpn=alpn)
                    browser.shake_hands()
                    browser.send(ASKED)
                    answer = browser.until(b"</XRD>")
                    self.assertTrue(answer.startswith(b"HTTP/1.1 200 "), answer)
                    self.assertIn(f"wss://localhost:{self.doors[EPOLL]}/ws".encode(), answer)
                    browser.close()
                neither = Wire(port, starttls=False, alpn=["h2"])
                with self.assertRaises(ssl.SSLError):
                    neither.shake_hands()
                neither.close()
        self.assertNotIn("Traceback", self.text())

    def test_stop(self) -> None:
        """A stop ends a stream there with a reason, as it does elsewhere."""
        client = Wire(self.doors[EPOLL], starttls=False, alpn=["xmpp-client"])
        client.features()
        client.log_in("romeo")
        self.process.terminate()
        self.assertIn(b"<system-shutdown", client.until(b"</stream:stream>"))
        client.close()
        self.assertIn(self.process.wait(20), (0, -signal.SIGTERM))
