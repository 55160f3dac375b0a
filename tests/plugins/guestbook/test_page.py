"""Books on the web, as a browser sees them."""

from tests.plugins.guestbook.books import BookCase, book, entries, sign
from xmppd.testing.client import done
from xmppd.testing.web import WebClient

PAGE = "/guestbook/romeo@montague.lit"
FORM = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "http://montague.lit"}


class PageTests(BookCase):
    def setUp(self) -> None:
        super().setUp()
        self.configure(on_the_web=["romeo@montague.lit"])
        self.browser = WebClient(self.house)

    def test_read(self) -> None:
        """Everybody reads an open book; what is written there is words, and nothing else."""
        sign(self.juliet, "&lt;script&gt;alert(1)&lt;/script&gt;")
        page = self.browser.get(PAGE)
        self.assertEqual(page.status, 200)
        self.assertIn("&lt;script&gt;alert(1)&lt;/script&gt;", page.text)
        self.assertIn("juliet@montague.lit", page.text)
        self.assertIn("default-src 'none'", page.headers["Content-Security-Policy"])

    def test_sign(self) -> None:
        """A browser signs it, and is led back to the page."""
        answer = self.browser.post(PAGE, b"words=What+light%3F", FORM)
        self.assertEqual((answer.status, answer.headers["Location"]), (303, PAGE))
        self.assertIn("What light?", self.browser.get(PAGE).text)
        self.assertEqual(entries(book(self.romeo)), [("guestbook.montague.lit", "What light?")])

    def test_closed(self) -> None:
        """A book that is not opened looks like one that does not exist."""
        for path in (
            "/guestbook/juliet@montague.lit",
            "/guestbook/nobody@montague.lit",
            PAGE + "/",
        ):
            self.assertEqual(self.browser.get(path).status, 404)

    def test_refused(self) -> None:
        """Nothing, too much, and what another site's page sends, is not written."""
        for body, headers, status in (
            (b"", FORM, 400),
            (b"words=" + b"x" * 501, FORM, 409),
            (b"words=%00", FORM, 409),
            (b"\xff", FORM, 400),
            (b"words=x", {**FORM, "Origin": "https://capulet.lit"}, 403),
        ):
            browser = WebClient(self.house)
            self.assertEqual(browser.post(PAGE, body, headers).status, status)
        self.assertEqual(entries(book(self.romeo)), [])

    def test_unload(self) -> None:
        """When the plugin goes, so does its page."""
        done(self.house.plugins.unload("guestbook"))
        self.assertEqual(self.browser.get(PAGE).status, 404)
