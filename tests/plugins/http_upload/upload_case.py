"""A house where files are uploaded."""

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import NamedTuple
from urllib.parse import urlsplit
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from twisted.trial.unittest import SynchronousTestCase

from xmppd.config.config import Config
from xmppd.stanza import escape
from xmppd.testing.client import Client
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebAnswer, WebClient
from xmppd_plugins.http_upload.uploads import NS

HOST = "https://files.montague.lit"
PLUGINS = ("disco", "http_upload")
LISTEN = [{"endpoint": "epoll:0", "kind": "http", "tls": "direct"}]


class Given(NamedTuple):
    """A slot, as a client reads it."""

    put: str
    get: str
    authorization: str


class UploadCase(SynchronousTestCase):
    """Romeo has an account at a house with files."""

    limits: dict[str, object] = {}

    def setUp(self) -> None:
        self.directory = Path(mkdtemp())
        self.addCleanup(rmtree, self.directory)
        self.house: House = House(config=self.configured(), plugins=PLUGINS, romeo={}, juliet={})
        (self.romeo,) = self.house.connect("romeo")

    def configured(self, **more: object) -> Config:
        """The configuration, with more in the table of the plugin."""
        limits = {"directory": str(self.directory), "min_free_bytes": 0, **self.limits, **more}
        return house_config("montague.lit", listen=LISTEN, web={"url": HOST}, http_upload=limits)

    def ask(
        self, name: str, size: object, inner: str = "", *, type: str = "", by: Client | None = None
    ) -> Element:
        """The answer to a request for a slot."""
        attributes = {"filename": name, "size": str(size)}
        if type:
            attributes["content-type"] = type
        said = "".join(f" {key}='{escape(text)}'" for key, text in attributes.items())
        asker = by or self.romeo
        asker.send(
            f"<iq type='get' id='u' to='upload.montague.lit'><request xmlns='{NS}'{said}>"
            f"{inner}</request></iq>"
        )
        (answer,) = asker.received()
        return ElementTree.fromstring(answer)  # of our own server

    def slot(self, name: str, size: int, inner: str = "", type: str = "") -> Given:
        """A slot for a file."""
        answer = self.ask(name, size, inner, type=type)
        put, get = answer.find(f".//{{{NS}}}put"), answer.find(f".//{{{NS}}}get")
        assert put is not None and get is not None, answer
        (header,) = put
        self.assertEqual(header.get("name"), "Authorization")
        return Given(put.get("url", ""), get.get("url", ""), header.text or "")

    def put(self, given: Given, body: bytes, **headers: str) -> WebAnswer:
        """The answer to an upload."""
        said = {"Authorization": given.authorization, **headers}
        web = WebClient(self.house)
        web.ask("PUT", urlsplit(given.put).path, body, said)
        return web.answer()

    def get(self, given: Given, **headers: str) -> WebAnswer:
        """The answer to somebody who reads a file."""
        return WebClient(self.house).get(urlsplit(given.get).path, headers)

    def upload(self, name: str, body: bytes, inner: str = "", type: str = "") -> Given:
        """Upload a file."""
        given = self.slot(name, len(body), inner, type)
        self.assertEqual(self.put(given, body).status, 201)
        return given

    def files(self) -> list[Path]:
        """All that is in the directory."""
        return [path for path in self.directory.rglob("*") if path.is_file()]


__all__ = ["HOST", "PLUGINS", "Given", "UploadCase"]
