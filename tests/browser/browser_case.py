"""Tests with Debian's chromium, driven from here, and a server in a process of its own."""

import atexit
import shutil
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from urllib.parse import urlencode, urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.site import MODULES, Site
from tests.integration.people import PASSWORD
from xmppd.testing.process import ServerProcess

PATIENCE_MS = 60_000
# Where one writes into the chat that is open in converse.js.
CHAT = "converse-chat textarea.chat-textarea:visible"


def _is_elsewhere(url: str) -> bool:
    """Whether it is on another machine, where tests do not go."""
    return urlsplit(url).hostname not in ("localhost", "127.0.0.1", None)


@cache
def chromium() -> Browser:
    """The browser, which starts once for all tests and ends with them."""
    path = shutil.which("chromium")
    if path is None or not (MODULES / "converse.js").is_dir():
        raise AssertionError(
            'chromium and converse.js are not here: run "sh etc/dev.sh clients" and "… browser"'
        )
    playwright = sync_playwright().start()
    browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    atexit.register(playwright.stop)
    atexit.register(browser.close)
    return browser


@cache
def server() -> ServerProcess:
    """The server, likewise; people have names that no other test has. Chromium asks for messages to
    be compressed, and so they are; clients outside of browsers have them as they are.
    """
    directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
    atexit.register(rmtree, directory)
    process = ServerProcess(directory, web={"compression": True})
    process.start()
    atexit.register(process.stop)
    return process


class BrowserCase(SynchronousTestCase):
    """A browser, a server, and a site of pages."""

    def setUp(self) -> None:
        self.server = server()
        self.site = Site()
        self.addCleanup(self.site.close)

    def person(self, name: str) -> str:
        """An account of this test alone; returns its address."""
        name = f"{name}-{self.id().rpartition('.')[2].replace('_', '-')}"
        return self.server.add_user(name, PASSWORD)

    def context(self, *, script: bool = True, width: int = 1_280) -> BrowserContext:
        """A browser as somebody has it, with cookies and storage of its own.

        Args:
            script: Whether it runs JavaScript.
            width: Of its window, in pixels.
        """
        context = chromium().new_context(
            ignore_https_errors=True,
            java_script_enabled=script,
            viewport={"width": width, "height": 800},
        )
        context.set_default_timeout(PATIENCE_MS)
        context.route(_is_elsewhere, lambda route: route.abort())
        self.addCleanup(context.close)
        return context

    def service(self, way: str, port: int = 0) -> str:
        """The address of WebSocket or BOSH."""
        port = port or self.server.https_port
        return f"wss://localhost:{port}/ws" if way == "ws" else f"https://localhost:{port}/bosh"

    # -- converse.js ------------------------------------------------------------------------------

    def converse(self, jid: str, way: str, port: int = 0) -> Page:
        """A page with converse.js, logged in."""
        page = self.context().new_page()
        where = {"jid": jid, "password": PASSWORD}
        where["websocket_url" if way == "ws" else "bosh_service_url"] = self.service(way, port)
        page.goto(f"{self.site.url}/converse.html#{urlencode(where)}")
        self.wait(page, "window.events.includes('connected') && window.ready")
        return page

    def wait(self, page: Page, condition: str) -> None:
        """Wait until something is so."""
        page.wait_for_function(f"() => {condition}")

    def open_chat(self, page: Page, jid: str) -> None:
        """Open the chat with somebody."""
        page.evaluate("async (jid) => { await api.chats.open(jid, {}, true); }", jid)

    def write(self, page: Page, text: str) -> None:
        """Write into the chat that is open, as a person does, and send it."""
        page.locator(CHAT).first.fill(text)
        page.keyboard.press("Enter")

    def shows(self, page: Page, text: str) -> None:
        """Wait until a page shows what somebody has written."""
        page.locator("converse-chat-message-body", has_text=text).first.wait_for()
