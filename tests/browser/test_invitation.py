"""Somebody opens the link of an invitation with a browser."""

from playwright.sync_api import Page, Request

from tests.browser.browser_case import BrowserCase
from tests.integration.people import PASSWORD


class InvitationTests(BrowserCase):
    def setUp(self) -> None:
        super().setUp()
        self.romeo = self.person("romeo")
        (made,) = self.server.tell("invite create", **{"from": self.romeo})
        assert isinstance(made, dict)
        self.link = str(made["landing_url"])
        self.token = self.link.partition("#")[2]
        self.asked: list[str] = []
        self.logged: list[str] = []

    def page(self, *, script: bool = True, width: int = 320) -> Page:
        """A page that notes what it asks for, and what goes wrong."""
        page = self.context(script=script, width=width).new_page()

        def note(request: Request) -> None:
            self.asked.append(request.url.partition("#")[0])

        page.on("request", note)
        page.on("console", lambda message: self.logged.append(message.text))
        page.on("pageerror", lambda error: self.logged.append(str(error)))
        return page

    def register(self, page: Page, name: str) -> None:
        """Fill in the form of an invitation that is shown."""
        page.get_by_text("Or make the account here").click()
        page.locator("[name=name]").fill(name)
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("[name=again]").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        page.get_by_role("heading", name="Your account is there").wait_for()

    def contacts(self) -> list[str]:
        """The contacts of whoever invites."""
        rows = self.server.tell("roster show", account=[self.romeo])
        return [str(row["contact"]) for row in rows if isinstance(row, dict)]

    def test_comes(self) -> None:
        """Whoever opens the link sees who invites, makes an account, and is a contact; the token is
        in the address of no request, none leaves for another host, and nothing needs more than 320
        pixels.
        """
        page = self.page()
        page.goto(self.link)
        page.get_by_role("heading", name=f"{self.romeo} invites you to chat").wait_for()
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        self.assertFalse(page.evaluate(wide))
        button = page.get_by_role("link", name="Open in the app")
        address = button.get_attribute("href") or ""
        self.assertEqual(address, f"xmpp:{self.romeo}?roster;preauth={self.token};ibr=y")
        page.reload()
        page.get_by_role("heading", name="invites you to chat").wait_for()
        self.register(page, "juliet-by-link")
        self.assertEqual(self.contacts(), ["juliet-by-link@localhost"])
        self.assertEqual([url for url in self.asked if self.token in url], [])
        self.assertEqual({url.split("/")[2].split(":")[0] for url in self.asked}, {"localhost"})
        self.assertEqual(self.logged, [])

    def test_without_script(self) -> None:
        """Without JavaScript the link is pasted once, which the page says; the rest is the same."""
        page = self.page(script=False)
        page.goto(self.link)
        page.get_by_text("without JavaScript").wait_for()
        page.locator("[name=invitation]").fill(self.link)
        page.get_by_role("button", name="Show the invitation").click()
        self.register(page, "rosaline-by-link")
        self.assertEqual(self.contacts(), ["rosaline-by-link@localhost"])

    def test_not_valid(self) -> None:
        """A link that is none says so, and whom to ask."""
        page = self.page()
        page.goto(self.link[:-4])
        page.get_by_role("heading", name="invalid or has expired").wait_for()
