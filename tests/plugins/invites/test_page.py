"""The page of an invitation, as a browser sees it."""

from html import unescape

from tests.plugins.invites.invite_case import (
    ADMIN,
    JULIET,
    PASSWORD,
    ROMEO,
    InviteCase,
    actor,
    token_of,
)
from tests.unit.pages.browser import Browser, SecureBrowser, seen
from xmppd.testing.client import done
from xmppd.testing.web import WebAnswer
from xmppd_plugins.invites.invitations import MAX_WRONG_PER_HOUR, NOT_VALID
from xmppd_plugins.invites.page import ROOT

LISTEN = [{"endpoint": "epoll:0", "kind": "http", "tls": "none"}]
PHONE = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/130.0 Mobile"


WEB = {"url": "https://chat.montague.lit", "trusted_proxies": ["127.0.0.1"]}


class PageCase(InviteCase):
    def setUp(self) -> None:
        self.house = self.furnish(listen=LISTEN, web=WEB)
        self.browser: Browser = SecureBrowser(self.house)
        self.browser.get(ROOT)

    def open(self, link: str, **headers: str) -> WebAnswer:
        """The page of an invitation, by its link or token."""
        return self.browser.post(ROOT, {"invitation": link}, **headers)

    def register(self, token: str, name: str = "juliet", **more: str) -> WebAnswer:
        """What a browser is answered that registers."""
        fields = {"invitation": token, "name": name, "password": PASSWORD, "again": PASSWORD}
        return self.browser.post(f"{ROOT}register", {**fields, **more})


class InvitePageTests(PageCase):
    def test_link(self) -> None:
        """The link leads to the page, and the token is where no server sees it."""
        made = self.invite(actor(ROMEO))
        self.assertEqual(made.landing_url, f"https://chat.montague.lit/invite/#{token_of(made)}")

    def test_shown(self) -> None:
        """It says who invites and whereto, and has the button for the client, a code, and clients
        for the device; whatever is pasted that has the token in it will do.
        """
        made = self.invite(actor(ROMEO))
        for link in (token_of(made), made.landing_url, made.uri):
            answer = self.open(link)
            self.assertEqual(answer.status, 200)
        said = seen(answer)
        self.assertIn(f"{ROMEO} invites you to chat", said)
        self.assertIn("2023-11-21 22:13 UTC", said)
        self.assertIn(f'href="{made.uri}"', unescape(answer.text))
        self.assertIn('src="data:image/svg+xml', answer.text)
        self.assertIn("script-src 'self'", answer.headers["Content-Security-Policy"])

    def test_device(self) -> None:
        """Who looks with a telephone is told of clients for it first."""
        said = seen(self.open(self.invited(), User_Agent=PHONE))
        self.assertLess(said.index("Conversations"), said.index("For other devices"))
        self.assertGreater(said.index("Gajim"), said.index("For other devices"))

    def test_registers(self) -> None:
        """Somebody makes an account there, and has who invited them as a contact."""
        answer = self.register(self.invited())
        self.assertEqual(answer.status, 200)
        self.assertIn(JULIET, seen(answer))
        check = self.house.server.auth_provider.check_password(JULIET, PASSWORD)
        self.assertTrue(done(check))
        self.assertEqual(self.contacts(JULIET), {ROMEO: "both"})

    def test_promised(self) -> None:
        """A promised name is what it is, whatever is sent."""
        token = token_of(self.invite(ADMIN, name="juliet", no_contact=True))
        self.assertIn(f"{JULIET} is yours", seen(self.open(token)))
        self.assertIn(JULIET, seen(self.register(token, "tybalt")))

    def test_tried_again(self) -> None:
        """What cannot be is said beside the form, which keeps the name and the invitation."""
        token = self.invited()
        for name, more, status, said in (
            ("romeo", {}, 409, "This name is already in use."),
            ("postmaster", {}, 400, "This name is reserved."),
            ("a b", {}, 400, "This is not a valid name"),
            ("", {}, 400, "This is not a valid name"),
            ("juliet", {"again": "other"}, 400, "The two passwords differ."),
            ("juliet", {"password": "x", "again": "x"}, 400, "Please use a longer password."),
        ):
            with self.subTest(said=said):
                answer = self.register(token, name, **more)
                self.assertEqual(answer.status, status)
                self.assertIn(said, seen(answer))
                self.assertIn(f'name="invitation" value="{token}"', answer.text)
                self.assertIn(f'name="name" value="{name}"', answer.text)
        self.assertEqual(self.register(token).status, 200)

    def test_not_valid(self) -> None:
        """A used, an expired, a revoked and a wrong token have the same page, byte for byte."""
        used, revoked, late = self.invited(), self.invite(actor(ROMEO)), self.invited(expires="1h")
        self.register(used)
        self.give("revoke", id=revoked.id)
        self.house.wall_ahead_s += 3_601
        tokens = (used, token_of(revoked), late, "nonsense", "", "x" * 3_000, '"><script>')
        pages = {(page.status, page.body) for page in map(self.open, tokens)}
        pages |= {(page.status, page.body) for page in map(self.register, tokens)}
        self.assertEqual(len(pages), 1)
        ((status, body),) = pages
        self.assertEqual(status, 404)
        self.assertIn(NOT_VALID, body.decode())
        self.assertFalse(self.exists("nonsense@montague.lit"))

    def test_guessing(self) -> None:
        """Who guesses is told to wait."""
        token = self.invited()
        for _ in range(MAX_WRONG_PER_HOUR):
            self.open("nonsense")
        self.assertEqual(self.open(token).status, 429)

    def test_forged(self) -> None:
        """A form of another site, or of nobody, does nothing."""
        token = self.invited()
        self.browser.origin = "https://capulet.lit"
        self.assertEqual(self.register(token).status, 403)
        self.browser.origin, self.browser.token = "https://montague.lit", "forged"
        self.assertEqual(self.register(token).status, 303)
        self.assertFalse(self.exists(JULIET))

    def test_contacts_only(self) -> None:
        """An invitation that makes no account has no form for one, and makes none."""
        self.house = self.furnish(listen=LISTEN, web=WEB, invites={"with_account": False})
        self.browser = SecureBrowser(self.house)
        self.browser.get(ROOT)
        token = self.invited()
        self.assertNotIn("Password", seen(self.open(token)))
        self.assertEqual(self.register(token).status, 404)

    def test_in_the_clear(self) -> None:
        """Where somebody could read along, no password is asked for or taken."""
        self.browser = Browser(self.house, ("web",), "192.0.2.1", "montague.lit")
        self.browser.get(ROOT)
        token = self.invited()
        self.assertNotIn('type="password"', self.open(token).text)
        self.assertEqual(self.register(token).status, 403)

    def test_no_listener(self) -> None:
        """Without a listener for HTTP there is no page, and no link to one."""
        self.house = self.furnish()
        self.assertEqual(self.invite().landing_url, "")
        self.assertEqual(SecureBrowser(self.house).get(ROOT).status, 404)
