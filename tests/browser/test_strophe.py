"""strophe.js in a page of another origin, as many clients are made of it."""

from playwright.sync_api import Page

from tests.browser.browser_case import BrowserCase
from tests.integration.people import PASSWORD

ASK = """async ([url, options]) => {
  const answer = await fetch(url, options);
  return [answer.status, await answer.text()];
}"""


class StropheTests(BrowserCase):
    def login(self, jid: str, way: str) -> Page:
        """A page that has logged in."""
        page = self.context().new_page()
        page.goto(f"{self.site.url}/strophe.html")
        page.evaluate("(it) => login(...it)", [self.service(way), jid, PASSWORD])
        self.wait(page, "window.events.includes('CONNECTED')")
        return page

    def test_both_ways(self) -> None:
        """One by BOSH and one by WebSocket talk with each other, and leave in good order."""
        romeo, juliet = self.person("romeo"), self.person("juliet")
        his, hers = self.login(romeo, "bosh"), self.login(juliet, "ws")
        for page, other, reader, sender in ((his, juliet, hers, romeo), (hers, romeo, his, juliet)):
            page.evaluate("(it) => say(...it)", [other, 'ay <"&> me \u2665'])
            self.wait(reader, "window.said.length === 1")
            [[who, text]] = reader.evaluate("window.said")
            self.assertEqual((who.partition("/")[0], text), (sender, 'ay <"&> me \u2665'))
        for page in (his, hers):
            page.evaluate("connection.disconnect()")
            self.wait(page, "window.events.includes('DISCONNECTED')")
            self.assertNotIn("AUTHFAIL", page.evaluate("window.events"))

    def test_other_origin(self) -> None:
        """A page of another origin reads what it is answered, errors included: else a browser says
        "network error" and nobody knows why.
        """
        page = self.context().new_page()
        page.goto(f"{self.site.url}/strophe.html")
        base = f"https://localhost:{self.server.https_port}"
        for path, options, status in (
            ("/.well-known/host-meta.json", {}, 200),
            ("/bosh", {"method": "POST", "body": "<body/>"}, 200),
            ("/bosh", {"method": "PUT", "body": "x"}, 405),
            ("/bosh", {"method": "POST", "body": "x" * 2_000_000}, 413),
            ("/upload/none/x.png", {}, 404),
            (f"/upload/{'0' * 32}/x.png", {"method": "PUT", "body": "x"}, 403),
        ):
            with self.subTest(path=path, options=str(options)[:40]):
                answered, text = page.evaluate(ASK, [base + path, options])
                self.assertEqual(answered, status, text)
