"""The pages of an account and of an invitation, and those instead of a login, in Chromium."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from xml.etree import ElementTree

from playwright.sync_api import Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser_case import PATIENCE_MS, chromium
from tests.browser.site import MODULES
from tests.browser.test_console import AXE
from tests.integration.people import PASSWORD
from xmppd.testing.process import HOST, ServerProcess

ADMIN, ROMEO = "capulet@localhost", "romeo@localhost"
THEMES = ("light", "dark")


@cache
def server() -> ServerProcess:
    """A server at which people register, which starts once for all tests."""
    directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
    atexit.register(rmtree, directory)
    listen = {"endpoint": f"epoll:0:interface={HOST}", "kind": "http", "tls": "direct"}
    process = ServerProcess(
        directory,
        admins=[ADMIN],
        account={"register": True},
        listen=[{**listen, "serve": ["console"]}],
    )
    process.start()
    atexit.register(process.stop)
    for name in ("capulet", "romeo"):
        process.add_user(name, PASSWORD)
    return process


class PeopleCase(SynchronousTestCase):
    """A browser in which nothing goes wrong that nobody sees."""

    def setUp(self) -> None:
        self.server = server()
        self.account = f"https://localhost:{self.server.https_port}/account/"
        self.wrong: list[str] = []
        self.addCleanup(lambda: self.assertEqual(self.wrong, []))

    @contextmanager
    def page(self, theme: str = "light") -> Iterator[Page]:
        """A page of a browser that nobody has used."""
        context = chromium().new_context(
            ignore_https_errors=True,
            color_scheme=theme,  # type: ignore[arg-type]  # it is one
            viewport={"width": 1_280, "height": 860},
        )
        context.set_default_timeout(PATIENCE_MS)
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))
        page = context.new_page()
        try:
            yield page
        finally:
            context.close()

    def log_in(self, page: Page) -> None:
        """Log in, and see the page of the account."""
        page.goto(self.account)
        page.get_by_label("Address", exact=True).fill(ROMEO)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text(ROMEO)

    def assert_for_everybody(self, page: Page, what: str) -> None:
        """On a page that is open axe finds nothing, and it fits into 320 pixels."""
        axe = (MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
        page.evaluate(axe)
        self.assertEqual(page.evaluate(AXE), [], what)
        page.set_viewport_size({"width": 320, "height": 700})
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 320, what)
        page.set_viewport_size({"width": 1_280, "height": 860})


class EachPageTests(PeopleCase):
    """Each of these pages is for everybody (CN-11)."""

    def test_account(self) -> None:
        """The page of an account with all its forms open, in light and dark."""
        for theme in THEMES:
            with self.page(theme) as page:
                self.log_in(page)
                page.get_by_role("button", name="Invite somebody").click()
                expect(page.get_by_text("Give this link to whoever you invite")).to_be_visible()
                for summary in page.locator("summary").all():
                    summary.click()
                self.assert_for_everybody(page, f"account in {theme}")

    def test_others(self) -> None:
        """Those for people who have not logged in: to register, with a link, and with none."""
        for theme in THEMES:
            for path in ("login", "register", "reset/", "link"):
                with self.page(theme) as page:
                    page.goto(self.account + path)
                    self.assert_for_everybody(page, f"{path} in {theme}")

    def test_invitation(self) -> None:
        """An invitation with all of it open, one that is none, and the account that comes of it."""
        (made,) = self.server.tell("invite create", **{"from": ROMEO})
        assert isinstance(made, dict)
        for theme in THEMES:
            with self.page(theme) as page:
                page.goto(str(made["landing_url"]))
                page.get_by_role("heading", name="invites you to chat").wait_for()
                for summary in page.locator("summary").all():
                    summary.click()
                self.assert_for_everybody(page, f"invitation in {theme}")
            with self.page(theme) as page:
                page.goto(f"{made['landing_url']}x")
                page.get_by_role("heading", name="invalid or has expired").wait_for()
                self.assert_for_everybody(page, f"no invitation in {theme}")


class DoingTests(PeopleCase):
    """What people do there."""

    def test_registers(self) -> None:
        """Somebody makes an account; the browser works for it while the form is filled in, or when
        that is sent.
        """
        for name in ("tybalt", "mercutio"):
            with self.page() as page:
                page.goto(f"{self.account}login")
                page.get_by_role("link", name="Make an account").click()
                page.get_by_label("Name").fill(name)
                page.get_by_label("Password, of").fill(PASSWORD)
                page.get_by_label("The same again").fill(PASSWORD)
                if name == "tybalt":
                    expect(page.locator("[name=answer]")).not_to_have_value("")
                page.get_by_role("button", name="Make the account").click()
                expect(page.get_by_role("heading", level=1)).to_contain_text(f"{name}@localhost")

    def test_takes_data_along(self) -> None:
        """A file is downloaded with the owner in it."""
        with self.page() as page:
            self.log_in(page)
            page.get_by_text("Take along all").click()
            page.locator("#export").get_by_label("Your password").fill(PASSWORD)
            with page.expect_download() as waiting:
                page.get_by_role("button", name="Download the file").click()
            self.assertEqual(waiting.value.suggested_filename, f"{ROMEO}.xml")
            root = ElementTree.parse(waiting.value.path()).getroot()
            names = [user.get("name") for user in root.iter("{urn:xmpp:pie:0}user")]
            self.assertEqual(names, ["romeo"])

    def test_comes_by_a_link(self) -> None:
        """Whoever opens a link is in, without a password, once."""
        for who, where in ((ADMIN, "console"), (ROMEO, "account")):
            (made,) = self.server.tell("console link", account=who, page=where)
            assert isinstance(made, dict)
            with self.page() as page:
                page.goto(str(made["url"]))
                title = "localhost" if where == "console" else ROMEO
                expect(page.get_by_role("heading", level=1)).to_have_text(title)
            with self.page() as page:
                page.goto(str(made["url"]))
                heading = page.get_by_role("heading", level=1)
                expect(heading).to_contain_text("invalid or has expired")


__all__ = ["DoingTests", "EachPageTests"]
