"""Pages: who may look at them, how they are known again, and what guards their forms."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.pages.browser import Browser, seen
from xmppd.auth.base import SASLError
from xmppd.config.config import AuthSettings
from xmppd.config.scopes import OWN
from xmppd.pages.page_site import Click, PageSite
from xmppd.pages.visitors import IDLE_S, LONGEST_S, MAX_VISITORS
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House
from xmppd.web.request import HTTPResponse

ROMEO = "romeo@montague.lit"
ROOT = "/desk/"


class SiteCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House("montague.lit", romeo={}, juliet={})
        for account in (ROMEO, "juliet@montague.lit"):
            done(self.house.server.passwords.set_password(account, PASSWORD))
        self.done: list[str] = []
        site = PageSite(
            self.house.server.visitors, ROOT, "Desk", "console", lambda actor: OWN in actor.scopes,
            Path(self.mktemp()),
        )  # fmt: skip
        for path in (*site.paths(), site.path("", self.show), site.path("do", self.do, ("POST",))):
            self.house.server.http_paths.put(path, "tests")
        self.browser = Browser(self.house)

    def mktemp(self) -> str:
        """A directory of a site without anything of its own."""
        directory = Path(super().mktemp())
        (directory / "static").mkdir(parents=True)
        return str(directory)

    def show(self, click: Click) -> HTTPResponse:
        return click.page("error.html", status=200, sentence="Here you are.")

    def do(self, click: Click) -> HTTPResponse:
        self.done.append(click.field("what"))
        return click.away(ROOT, "The command is done.")

    def log_in(self) -> None:
        """Log in, and have the token of a form."""
        answer = self.browser.log_in(ROOT, ROMEO, PASSWORD)
        self.assertEqual((answer.status, answer.headers["Location"]), (303, ROOT))
        self.assert_in()
        self.browser.token = self.house.server.visitors.form_token(self.browser.cookies["xmppd"])

    def assert_in(self) -> None:
        self.assertIn("Here you are.", seen(self.browser.get(ROOT)))

    def assert_out(self) -> None:
        answer = self.browser.get(ROOT)
        self.assertEqual(answer.status, 303)
        self.assertEqual(answer.headers["Location"], "/desk/login?next=%2Fdesk%2F")


class LoginTests(SiteCase):
    def test_in_and_out(self) -> None:
        """Who logs in is known with the next click, until logging out."""
        self.assert_out()
        self.log_in()
        answer = self.browser.post("/desk/logout", {})
        self.assertEqual(answer.headers["Location"], "/desk/login")
        self.assert_out()

    def test_back(self) -> None:
        """One comes back to where one was, and to nowhere else."""
        for after, location in (
            ("/desk/?q=1", "/desk/?q=1"),
            ("//evil.example/desk/", ROOT),
            ("https://evil.example/", ROOT),
            ("/desk/\\\\evil.example", ROOT),
            ("/other", ROOT),
            ("/desk/logout", ROOT),
            ("/desk/\r\nX: y", ROOT),
        ):
            self.browser.cookies.clear()
            self.browser.get("/desk/login")
            given = {"account": "romeo", "password": PASSWORD, "next": after}
            answer = self.browser.post("/desk/login", given)
            self.assertEqual(answer.headers["Location"], location)

    def test_wrong(self) -> None:
        """A wrong password, and an account that does not exist, are answered alike."""
        pages = set[str]()
        for account in (ROMEO, "nobody@montague.lit", "romeo@elsewhere.lit", "@", "a@b@c"):
            answer = self.browser.log_in(ROOT, account, "wrong")
            self.assertEqual(answer.status, 401, account)
            pages.add(seen(answer))
        self.assertEqual(len(pages), 1)
        self.assertEqual(len(self.house.server.visitors), 0)

    def test_one_budget(self) -> None:
        """Guesses count as those of streams do: who is locked out there is so here."""
        self.house.server.attempts.use(AuthSettings(failures_before_lockout=2))
        for _ in range(2):
            self.assertEqual(self.browser.log_in(ROOT, ROMEO, "wrong").status, 401)
        answer = self.browser.log_in(ROOT, ROMEO, PASSWORD)
        self.assertEqual(answer.status, 429)
        self.assertIn("Too many attempts", seen(answer))
        with self.assertRaises(SASLError):
            done(self.house.server.attempts.turn(ROMEO, "127.0.0.1"))

    def test_fresh(self) -> None:
        """A cookie from before the login is worth nothing after it."""
        self.browser.get("/desk/login")
        before = self.browser.cookies["xmppd"]
        self.log_in()
        self.assertNotEqual(self.browser.cookies["xmppd"], before)
        self.browser.cookies["xmppd"] = before
        self.assert_out()

    def test_in_clear(self) -> None:
        """No password is taken in clear text from elsewhere, nor through a proxy that is not
        known.
        """
        for browser, headers in (
            (Browser(self.house, address="192.0.2.1", host="montague.lit"), {}),
            (Browser(self.house, host="montague.lit"), {}),
            (self.browser, {"X-Forwarded-For": "192.0.2.1"}),
        ):
            page = browser.get("/desk/login", **headers)
            self.assertIn("no password is taken here", seen(page))
            browser.token = self.house.server.visitors.form_token(browser.cookies["xmppd"])
            given = {"account": ROMEO, "password": PASSWORD}
            answer = browser.post("/desk/login", given, **headers)
            self.assertEqual(answer.status, 403)
        self.assertEqual(len(self.house.server.visitors), 0)

    def test_cookie(self) -> None:
        """No script reads the cookie, and no other site has it sent."""
        answer = self.browser.log_in(ROOT, ROMEO, PASSWORD)
        said = answer.headers["Set-Cookie"]
        for word in ("Path=/", "HttpOnly", "SameSite=Strict"):
            self.assertIn(word, said.split("; "))

    def test_over(self) -> None:
        """It is over after a while without a click, and at last in any case."""
        self.log_in()
        self.house.clock.advance(IDLE_S)
        self.assert_out()
        self.log_in()
        for _ in range(int(LONGEST_S // (IDLE_S - 60.0))):
            self.house.clock.advance(IDLE_S - 60.0)
            self.assert_in()
        self.house.clock.advance(IDLE_S - 60.0)
        self.assert_out()

    def test_password_changed(self) -> None:
        """Another password ends what was begun with the one before."""
        self.log_in()
        done(self.house.server.accounts.set_password(JID.parse(ROMEO), "another"))
        self.assert_out()

    def test_everywhere(self) -> None:
        """Who logs out everywhere is out in all browsers."""
        self.log_in()
        other = Browser(self.house)
        other.log_in(ROOT, ROMEO, PASSWORD)
        self.browser.post("/desk/logout", {"everywhere": "1"})
        self.assertEqual(other.get(ROOT).status, 303)

    def test_many(self) -> None:
        """With too many visitors the one who did nothing for longest is forgotten."""
        visitors = self.house.server.visitors
        self.log_in()
        for _ in range(MAX_VISITORS):
            self.house.clock.advance(0.001)
            self.browser.log_in(ROOT, "juliet", PASSWORD)
            self.browser.cookies.clear()
        self.assertEqual(len(visitors), MAX_VISITORS)


class GuardTests(SiteCase):
    def test_form(self) -> None:
        """A form of ours is done, and the next page says so."""
        self.log_in()
        answer = self.browser.post("/desk/do", {"what": "dance"})
        self.assertEqual((answer.status, self.done), (303, ["dance"]))

    def test_forged(self) -> None:
        """Without its token, with another's, or from elsewhere, nothing is done."""
        self.log_in()
        for fields, headers in (
            ({"token": ""}, {}),
            ({"token": "0" * 64}, {}),
            ({"token": self.house.server.visitors.form_token("other")}, {}),
            ({}, {"Origin": "https://evil.example"}),
            ({}, {"Origin": "null"}),
            ({}, {"Origin": ""}),
            ({}, {"Origin": "http://localhost:81"}),
            ({}, {"Origin": "https://localhost"}),
        ):
            answer = self.browser.post("/desk/do", {"what": "harm", **fields}, **headers)
            self.assertEqual(answer.status, 403, (fields, headers))
        self.assertEqual(self.browser.get("/desk/do?what=harm").status, 405)
        self.assertEqual(self.done, [])

    def test_strange_bodies(self) -> None:
        """What is no form is refused, whatever it is."""
        self.log_in()
        many = {f"f{number}": "" for number in range(201)}
        self.assertEqual(self.browser.post("/desk/do", many).status, 400)
        answer = self.browser.post("/desk/do", {}, Content_Type="text/plain")
        self.assertEqual(answer.status, 415)
        answer = self.browser.post("/desk/do", {"what": b"\xff\xfe"})
        self.assertEqual(answer.status, 400)
        self.assertEqual(self.done, [])

    def test_headers(self) -> None:
        """A page runs nothing but our files, is shown in no frame, and kept nowhere."""
        self.log_in()
        for answer in (
            self.browser.get(ROOT),
            self.browser.get("/desk/do"),
            self.browser.get("/desk/login?next=1"),
        ):
            policy = answer.headers["Content-Security-Policy"]
            self.assertIn("default-src 'none'; script-src 'self'", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertEqual(answer.headers.get_all("Referrer-Policy"), ["same-origin"])
        self.assertEqual(self.browser.get(ROOT).headers["Cache-Control"], "no-store")

    def test_theme(self) -> None:
        """The colours that were chosen are those of the next page."""
        self.browser.get("/desk/login")
        self.browser.post("/desk/theme", {"theme": "dark", "next": ROOT})
        self.assertIn('data-theme="dark"', self.browser.get("/desk/login").text)
        self.browser.post("/desk/theme", {"theme": '"><script>'})
        self.assertNotIn("data-theme", self.browser.get("/desk/login").text)

    def test_files(self) -> None:
        """Style sheets and scripts are for everybody; nothing else is served."""
        page = self.browser.get("/desk/login").text
        address = page.split('rel="stylesheet" href="')[1].split('"')[0]
        answer = self.browser.get(address)
        self.assertEqual(
            (answer.status, answer.headers["Content-Type"]), (200, "text/css; charset=utf-8")
        )
        self.assertIn("immutable", answer.headers["Cache-Control"])
        self.assertEqual(
            self.browser.get(address.split("?")[0]).headers["Cache-Control"], "no-cache"
        )
        for path in (
            "",
            "x.css",
            "../templates/page.html",
            "..%2ftemplates",
            "pages.css/",
            "%2e%2e/page_site.py",
        ):
            self.assertIn(self.browser.get(f"/desk/static/{path}").status, (400, 404))
