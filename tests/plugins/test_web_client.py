"""A client that the server has for browsers."""

import gzip
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from xmppd.plugin.plugin_error import PluginError
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebAnswer, WebClient

LISTEN = [{"endpoint": "epoll:0", "kind": "http", "tls": "none"}]
WEB = {"url": "https://chat.montague.lit"}


class WebClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.directory = Path(mkdtemp())
        self.addCleanup(rmtree, self.directory)

    def write(self, **files: bytes) -> None:
        """Put files there, by their names with a dot for each underscore."""
        for name, content in files.items():
            (self.directory / name.replace("_", ".")).write_bytes(content)

    def house(self, *domains: str) -> House:
        """A house with that client."""
        config = house_config(
            *(domains or ("montague.lit",)), listen=LISTEN, web=WEB,
            web_client={"directory": str(self.directory)},
        )  # fmt: skip
        return House(config=config, plugins=("web_client",))

    def get(self, house: House, path: str, **headers: str) -> WebAnswer:
        """What a browser is answered."""
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        return WebClient(house).get(path, said)

    def test_page(self) -> None:
        """converse.js has a page of ours, which says where the server is and what may be done."""
        self.write(converse_min_js=b"//")
        house = self.house()
        page = self.get(house, "/client/")
        self.assertEqual(page.status, 200)
        self.assertIn("wss://chat.montague.lit/ws", page.text)
        self.assertIn("&quot;locked_domain&quot;: &quot;montague.lit&quot;", page.text)
        policy = page.headers["Content-Security-Policy"]
        self.assertIn(
            "connect-src 'self' https://chat.montague.lit wss://chat.montague.lit;", policy
        )
        self.assertIn("script-src 'self' 'wasm-unsafe-eval';", policy)
        self.assertEqual(self.get(house, "/client").headers["Location"], "/client/")
        self.assertIn(
            "text/javascript", self.get(house, "/client/xmppd/start.js").headers["Content-Type"]
        )

    def test_domains(self) -> None:
        """Where there are several domains, people name theirs."""
        self.write(converse_min_js=b"//")
        page = self.get(self.house("montague.lit", "capulet.lit"), "/client/")
        self.assertNotIn("locked_domain", page.text)

    def test_other_client(self) -> None:
        """Any client with a page of its own is served as it is."""
        self.write(index_html=b"<p>Hello", converse_min_js=b"//")
        page = self.get(self.house(), "/client/")
        self.assertEqual(page.body, b"<p>Hello")
        self.assertIn("connect-src 'self'", page.headers["Content-Security-Policy"])

    def test_compressed(self) -> None:
        """What is compressed beforehand is sent so to browsers that take it."""
        packed = gzip.compress(b"let it = 1;")
        self.write(index_html=b"", a_js=b"let it = 1;", a_js_gz=packed)
        house = self.house()
        plain = self.get(house, "/client/a.js")
        small = self.get(house, "/client/a.js", Accept_Encoding="gzip, br")
        self.assertEqual((plain.body, plain.headers["Content-Encoding"]), (b"let it = 1;", None))
        self.assertEqual((small.body, small.headers["Content-Encoding"]), (packed, "gzip"))
        self.assertEqual(small.headers["Content-Type"], "text/javascript; charset=utf-8")
        self.assertEqual(small.headers["Vary"], "Accept-Encoding")
        etag = small.headers["ETag"]
        again = self.get(house, "/client/a.js", Accept_Encoding="gzip", If_None_Match=etag)
        self.assertEqual(again.status, 304)

    def test_nothing_else(self) -> None:
        """Nothing is served but the files that were there, however it is asked for."""
        self.write(index_html=b"")
        (self.directory / "out").symlink_to("/etc/passwd")
        house = self.house()
        self.write(later_js=b"")
        for path in ("out", "later.js", "..%2fetc/passwd", "%2e%2e/x", "xmppd/../x", "nothing"):
            self.assertIn(self.get(house, f"/client/{path}").status, (400, 404))

    def test_no_client(self) -> None:
        """A directory without files is named at the start; no directory is no client."""
        error = self.assertRaises(PluginError, self.house)
        self.assertIn("has no files", str(error))
        house = House(config=house_config("montague.lit", listen=LISTEN))
        done(house.plugins.load("web_client"))
        self.assertEqual(self.get(house, "/client/").status, 404)
