"""Files that somebody has uploaded, opened in Chromium: nothing in them runs."""

import ssl
from http.client import HTTPSConnection
from urllib.parse import urlsplit

from playwright.sync_api import Error, Page

from tests.browser.browser_case import BrowserCase
from tests.integration.people import PASSWORD
from tests.integration.raw_client import RawClient
from tests.integration.test_http_upload import NS, SLOT
from xmppd.stanza.text import escape

HTML = '<!DOCTYPE html><title>fine</title><script>{script}</script><img src=x onerror="{script}">'
SVG = (
    "<svg xmlns='http://www.w3.org/2000/svg' onload=\"{script}\" width='10' height='10'>"
    "<script>{script}</script></svg>"
)
XHTML = "<html xmlns='http://www.w3.org/1999/xhtml'><body><script>{script}</script></body></html>"
PDF = (
    "%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS({script})>>>>endobj\n"
    "trailer<</Root 1 0 R>>"
)
FILES = (
    ("picture.svg", "image/svg+xml", SVG),
    ("page.html", "text/html", HTML),
    ("page.xhtml", "application/xhtml+xml", XHTML),
    ("feed.xml", "text/xml", XHTML),
    ("paper.pdf", "application/pdf", PDF),
    ("rose.png", "image/png", HTML),
    ("rose.jpg", "image/jpeg", SVG),
    ("song.mp3", "audio/mpeg", HTML),
    ("nothing", "", HTML),
    ("plain.txt", "text/plain", HTML),
    ("a.html;.png", "image/png; charset=utf-8", HTML),
    ('"><script>{script}</script>.html', "text/html", HTML),
    ("script.js", "text/javascript", "{script}"),
)
FRAMES = """(urls) => Promise.all(urls.map((url) => new Promise((done) => {
  const frame = document.createElement("iframe");
  frame.onload = done;
  frame.src = url;
  document.body.append(frame);
  setTimeout(done, 2000); // what is saved never loads
})))"""


class FilesTests(BrowserCase):
    def upload(self, name: str, kind: str, content: bytes) -> str:
        """Upload a file; returns its URL."""
        client = RawClient(self.server)
        self.addCleanup(client.close)
        client.log_in(self.romeo, PASSWORD, "1")
        client.send(
            f"<iq type='get' id='u' to='upload.localhost'><request xmlns='{NS}'"
            f" size='{len(content)}' filename='{escape(name)}' content-type='{kind}'/>"
            "</iq>".encode()
        )
        said = SLOT.search(client.until(b"</slot></iq>"))
        assert said is not None
        put, authorization, get = (part.decode() for part in said.groups())
        context = ssl.create_default_context(cafile=str(self.server.certificate))
        connection = HTTPSConnection("localhost", self.server.https_port, context=context)
        self.addCleanup(connection.close)
        connection.request("PUT", urlsplit(put).path, content, {"Authorization": authorization})
        self.assertEqual(connection.getresponse().status, 201)
        return get

    def test_nothing_runs(self) -> None:
        """Whatever a file is and says it is, a browser that opens it, or shows it in a page, runs
        nothing of it.
        """
        self.romeo = self.person("romeo").partition("@")[0]
        script = f"console.log('ran'); new Image().src='{self.site.url}/ran'"
        page = self.context().new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        # Here it does run: so it would be noticed.
        page.set_content(HTML.format(script=script))
        self.fence(page)
        self.assertEqual(said.count("ran"), 2)
        self.assertIn("/ran", self.site.ran)
        said.clear()
        self.site.ran.clear()
        urls = [
            self.upload(name.format(script=script), kind, content.format(script=script).encode())
            for name, kind, content in FILES
        ]
        for url in urls:
            try:
                page.goto(url)
            except Error as error:  # it is to be saved
                self.assertIn("Download is starting", str(error))
            page.goto(f"{self.site.url}/strophe.html")
        page.evaluate(FRAMES, urls)
        self.fence(page)
        self.assertEqual(said.count("ran"), 0, said)
        self.assertNotIn("/ran", self.site.ran)

    def fence(self, page: Page) -> None:
        """Wait until all that was asked for before has come."""
        page.evaluate("(url) => fetch(url, { mode: 'no-cors' })", f"{self.site.url}/ran-fence")
        self.assertIn("/ran-fence", self.site.ran)

    def test_saved_by_its_name(self) -> None:
        """What is no picture is saved, by a name that is one for the disk."""
        self.romeo = self.person("romeo").partition("@")[0]
        page = self.context().new_page()
        url = self.upload("../a \u2665 \u202egnp.html", "text/html", HTML.encode())
        page.goto(f"{self.site.url}/strophe.html")
        with page.expect_download() as saving:
            page.evaluate("(url) => { location.href = url; }", url)
        name = saving.value.suggested_filename
        self.assertTrue(name.endswith("gnp.html"), name)
        self.assertNotRegex(name, "[/\u202e]")
