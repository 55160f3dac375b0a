"""People use the client that the server has for browsers."""

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from playwright.sync_api import Page, Request

from tests.browser.browser_case import CHAT, BrowserCase
from tests.browser.site import MODULES
from tests.integration.people import PASSWORD
from xmppd.testing.process import ServerProcess


class WebClientTests(BrowserCase):
    def setUp(self) -> None:
        # A server of its own, which has a client; nothing of others is asked for.
        directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
        self.addCleanup(rmtree, directory)
        files = str(MODULES / "converse.js" / "dist")
        self.server = ServerProcess(directory, web_client={"directory": files})
        self.server.start()
        self.addCleanup(self.server.stop)
        self.asked: list[str] = []
        self.logged: list[str] = []

    def log_in(self, jid: str) -> Page:
        """Somebody opens the page, and logs in by the name alone."""
        page = self.context().new_page()

        def note(request: Request) -> None:
            if request.url.startswith("http"):
                self.asked.append(request.url.split("/")[2].partition(":")[0])

        page.on("request", note)
        page.on("console", lambda message: self.logged.append(message.text))
        page.goto(f"https://localhost:{self.server.https_port}/client/")
        page.locator("input[name=jid]").fill(jid.partition("@")[0])
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        return page

    def test_invited(self) -> None:
        """Who makes an account by an invitation is led to the client, and is in with one click and
        the password.
        """
        (made,) = self.server.tell("invite create", **{"from": self.person("romeo")})
        assert isinstance(made, dict)
        page = self.context(width=320).new_page()
        page.goto(str(made["landing_url"]))
        page.get_by_text("Or make the account here").click()
        page.locator("[name=name]").fill("rosaline")
        page.locator("[name=password]").fill(PASSWORD)
        page.locator("[name=again]").fill(PASSWORD)
        page.get_by_role("button", name="Make the account").click()
        page.get_by_role("link", name="Chat in this browser").click()
        page.locator("input[name=jid]").fill("rosaline")
        page.locator("input[name=password]").fill(PASSWORD)
        page.keyboard.press("Enter")
        page.locator("converse-roster").get_by_text("romeo").first.wait_for()

    def test_talk(self) -> None:
        """Two people log in and talk; no request leaves for another host, and the page's policy is
        not broken.
        """
        romeo, juliet = self.person("romeo"), self.person("juliet")
        self.server.tell("roster add", account=romeo, contact=juliet, mutual=True)
        pages = [self.log_in(jid) for jid in (romeo, juliet)]
        # Both before the first word: converse.js may not show a chat which a message and a click
        # open at once.
        for page, contact in zip(pages, (juliet, romeo), strict=True):
            page.locator("converse-roster").get_by_text(contact.partition("@")[0]).first.click()
            page.locator(CHAT).first.wait_for()
        (device,) = self.server.tell("device list", account=romeo)
        assert isinstance(device, dict)
        self.assertEqual((device["software"], device["sessions"]), ("Converse", 1))
        self.write(pages[0], "What light through yonder window breaks?")
        self.shows(pages[1], "What light through yonder window breaks?")
        self.assertEqual(set(self.asked), {"localhost"})
        self.assertEqual([line for line in self.logged if "Content Security Policy" in line], [])
