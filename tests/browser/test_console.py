"""The console in Chromium: an administrator's day, and each page for whoever looks at it."""

import atexit
import os
import time
from functools import cache
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, expect
from twisted.trial.unittest import SynchronousTestCase

from tests.browser.browser_case import PATIENCE_MS, chromium
from tests.browser.site import MODULES
from tests.integration.node_processes import NodeProcesses
from tests.integration.people import PASSWORD
from tests.integration.raw_client import RawClient
from tests.unit.store.databases import execute
from xmppd.testing.process import HOST, ServerProcess

ADMIN = "capulet@localhost"
SHOTS = os.environ.get("XMPPD_SCREENSHOTS", "")
"""A directory that keeps a picture of each page; empty for none."""

PAGES = (
    "", "?over=week", "users", "user?account=romeo@localhost", "sessions", "groups",
    "reports", "servers",
    "components", "log", "certificates", "nodes", "server",
    "rooms", "invitations", "plugins", "numbers", "audit", "keys",
    "jobs", "data", "configuration", "do/", "do/user/add",
    "do/user/disable", "do/vcard/set", "do/user/list?rows=2",
    "do/session/show?jid=romeo@localhost/orchard",
    "why?owner=juliet@localhost&watcher=romeo@localhost", "do/trace", "find?q=user", "find?q=zzz",
)  # fmt: skip
AXE = """async () => (await axe.run(document)).violations.map(
  (each) => `${each.id}: ${each.nodes.map((node) => node.html.slice(0, 200)).join(" | ")}`)"""
HOSTILE = '"><script>ran()</script><img src=x onerror=ran()>'


@cache
def server() -> ServerProcess:
    """A server with a console, which starts once for all tests."""
    return started()


def started() -> ServerProcess:
    """A server with a console and three accounts, one of which is an administrator's."""
    directory = Path(mkdtemp(prefix="xmppd-", dir="/tmp"))
    atexit.register(rmtree, directory)
    listen = {"endpoint": f"epoll:0:interface={HOST}", "kind": "http", "tls": "direct"}
    process = ServerProcess(directory, admins=[ADMIN], listen=[{**listen, "serve": ["console"]}])
    process.start()
    atexit.register(process.stop)
    for name in ("capulet", "romeo", "juliet"):
        process.add_user(name, PASSWORD)
    return process


class ConsoleCase(SynchronousTestCase):
    """A browser at the console, in which nothing goes wrong that nobody sees."""

    def console(self) -> ServerProcess:
        """The server at which they look."""
        return server()

    def setUp(self) -> None:
        self.server = self.console()
        self.root = f"https://localhost:{self.server.ports('http')[0]}/console/"
        self.wrong: list[str] = []
        self.addCleanup(lambda: self.assertEqual(self.wrong, []))

    def context(self, **more: object) -> BrowserContext:
        """A browser as an administrator has it."""
        context = chromium().new_context(ignore_https_errors=True, **more)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        context.on("request", lambda request: self.look_at(request.url))
        context.on("console", self.heard)
        context.on("weberror", lambda error: self.wrong.append(str(error.error)))
        self.addCleanup(context.close)
        return context

    def look_at(self, url: str) -> None:
        """No request leaves for anywhere else."""
        if not url.startswith((self.root, "data:")):
            self.wrong.append(url)

    def heard(self, message: ConsoleMessage) -> None:
        """What the browser complains of, such as the policy; a page that is not there is none."""
        if message.type in ("error", "warning") and "status of 4" not in message.text:
            self.wrong.append(message.text)

    def page(self, **more: object) -> Page:
        """A page, logged in."""
        page = self.context(**more).new_page()
        page.goto(self.root)
        page.get_by_label("Address", exact=True).fill(ADMIN)
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("localhost")
        return page

    def client(self, name: str, resource: str) -> RawClient:
        """A client that is available."""
        client = RawClient(self.server)
        self.addCleanup(client.close)
        client.log_in(name, PASSWORD, resource)
        client.send(b"<presence/>")
        client.until(b"<presence")
        return client

    def go(self, page: Page, *way: str) -> None:
        """Click on links, one after the other."""
        for name in way:
            page.get_by_role("link", name=name, exact=True).first.click()


class DayTests(ConsoleCase):
    def test_day(self) -> None:
        """An administrator's day."""
        page = self.page()
        # people log in, and the overview counts them without being asked
        tile = page.locator("[data-tile=sessions] [data-value]")
        expect(page.locator("[data-live][data-told]")).to_be_visible()
        before = int(tile.inner_text())
        romeo = self.client("romeo", "orchard")
        self.client("juliet", "balcony")
        expect(tile).to_have_text(str(before + 2))
        # why does Romeo not see Juliet?
        self.go(page, "Why?")
        page.get_by_label("Owner", exact=True).fill("juliet@localhost")
        page.get_by_label("Watcher", exact=True).fill("romeo@localhost")
        page.get_by_role("button", name="Explain").click()
        expect(page.locator(".verdict")).to_contain_text("romeo@localhost sees nothing of juliet")
        # they are contacts from now on
        self.go(page, "juliet@localhost", "Add: Contacts")
        page.get_by_label("Contact", exact=True).fill("romeo@localhost")
        page.get_by_label("Mutual", exact=True).check()
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("status")).to_contain_text("see each other")
        expect(page.get_by_role("region", name="Contacts")).to_contain_text("romeo@localhost")
        # a session ends, and is asked about before
        self.go(page, "Sessions")
        row = page.locator("tr", has_text="juliet@localhost/balcony")
        row.get_by_role("link", name="End…").click()
        expect(page.get_by_label("What would happen")).to_contain_text("would end 1 session")
        page.get_by_role("button", name="End").click()
        expect(page.get_by_role("status")).to_contain_text("ended 1 session")
        expect(page.locator("tbody")).not_to_contain_text("balcony")
        # a plugin is unloaded and loaded
        self.go(page, "Plugins")
        row = page.locator("tr", has_text="vcard4")
        for act in ("Unload", "Load"):
            row.get_by_role("button", name=act, exact=True).click()
            expect(page.get_by_role("status")).to_be_visible()
        # what happens to Romeo's stanzas is seen as it happens
        self.go(page, "Live trace")
        page.get_by_label("Address", exact=True).fill("romeo@localhost")
        page.get_by_role("button", name="Start").click()
        expect(page.locator("[data-stream][data-open]")).to_be_visible()
        romeo.send(b"<message to='juliet@localhost'><body>soft</body></message>")
        expect(page.locator(".log")).to_contain_text("MessageRouter")
        # all of it was written down
        self.go(page, "Audit")
        for done in ("roster add", "session end", "plugin unload", "plugin load"):
            expect(page.locator("main")).to_contain_text(done)
        page.locator("summary").click()
        page.get_by_role("button", name="Log out", exact=True).click()
        expect(page.get_by_label("Password", exact=True)).to_be_visible()
        page.goto(f"{self.root}users")
        expect(page.get_by_label("Password", exact=True)).to_be_visible()

    def test_without_script(self) -> None:
        """Without JavaScript all of it works but what comes by itself."""
        page = self.page(java_script_enabled=False)
        expect(page.locator("[data-tile=sessions] [data-value]")).to_have_text("0")
        self.go(page, "Users", "Add")
        page.get_by_label("Account", exact=True).fill("paris@localhost")
        page.get_by_label("Password", exact=True).fill("x")
        page.get_by_role("button", name="Add").click()
        expect(page.get_by_role("status")).to_contain_text("was added")
        page.get_by_role("searchbox").fill("paris")
        page.get_by_role("searchbox").press("Enter")
        self.go(page, "Delete…")
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("status")).to_contain_text("deleted")
        page.get_by_role("button", name="Dark colours").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")

    def test_keyboard(self) -> None:
        """A keyboard is enough, and what has the focus is seen."""
        page = self.page()
        page.keyboard.press("Tab")
        expect(page.get_by_text("Skip to content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("#main")).to_be_focused()
        page.keyboard.press("Control+k")
        page.keyboard.type("romeo")
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("romeo@localhost")
        link = page.get_by_role("link", name="Disable")
        for _ in range(60):
            page.keyboard.press("Tab")
            if link.evaluate("(each) => each === document.activeElement"):
                break
        expect(link).to_be_focused()
        self.assertNotEqual(link.evaluate("(each) => getComputedStyle(each).outlineStyle"), "none")
        page.keyboard.press("Enter")
        expect(page.get_by_label("Account", exact=True)).to_have_value("romeo@localhost")

    def test_change(self) -> None:
        """A change of the configuration is planned, and applied; a mistake is neither."""
        page = self.page()
        self.go(page, "Configuration")
        text = page.get_by_label("xmppd.toml")
        before = text.input_value()
        text.fill("[stream]\nmax_stanza = 1")
        page.get_by_role("button", name="Plan").click()
        expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
        expect(page.get_by_role("button", name="Apply")).to_have_count(0)
        text.fill(f'{before}\n[log]\nlevel = "debug"\n')
        page.get_by_role("button", name="Plan").click()
        expect(page.get_by_label("What it would change").first).to_contain_text("log.level")
        page.get_by_role("button", name="Apply").click()
        expect(page.get_by_role("status").first).to_contain_text("log.level takes effect now")
        self.assertIn('level = "debug"', text.input_value())


class GraphTests(ConsoleCase):
    def test_drawn(self) -> None:
        """The graphs are drawn by a script, go on by themselves, and say what the pointer is at."""
        page = self.page()
        graph = page.locator("[data-graph=sessions]")
        expect(page.locator("[data-graphs][data-drawn]")).to_be_visible()
        expect(graph.locator("canvas")).to_be_visible()
        expect(page.locator("[data-graphs] canvas")).to_have_count(4)
        last = graph.locator("[data-last]").first
        # What other tests have left ends first.
        page.wait_for_function(
            """() => document.querySelector("[data-graph=sessions] [data-last]").textContent
              === document.querySelector("[data-tile=sessions] [data-value]").textContent"""
        )
        # A reading is kept every ten seconds; the last one may be of clients that have just left.
        expect(last).to_have_text("0", timeout=PATIENCE_MS)
        self.client("romeo", "window")
        expect(last).to_have_text("1", timeout=PATIENCE_MS)
        graph.locator(".u-over").hover()
        expect(graph.locator("[data-moment]")).to_contain_text("UTC")
        self.go(page, "Week")
        expect(page.locator("[data-graphs][data-drawn] canvas")).to_have_count(4)

    def test_of_the_server(self) -> None:
        """The page of the server has graphs of its process, which go on by themselves."""
        page = self.page()
        self.go(page, "This server")
        expect(page.locator("[data-live][data-told]")).to_be_visible()
        expect(page.locator("[data-graphs][data-drawn] canvas")).to_have_count(4)
        memory = page.locator("[data-graph=memory] [data-last]")
        expect(memory).to_contain_text("MiB")
        self.go(page, "Day")
        expect(page.get_by_role("heading", level=1)).to_have_text("This server")
        expect(page.locator("[data-graphs][data-drawn] canvas")).to_have_count(4)

    def test_without_script(self) -> None:
        """Without JavaScript the drawings of the server stay."""
        page = self.page(java_script_enabled=False)
        graph = page.get_by_role("img", name="Sessions, the last hour")
        expect(graph).to_be_visible()
        self.assertEqual(page.locator("canvas").count(), 0)
        self.go(page, "Day")
        expect(page.get_by_role("img", name="Sessions, the last day")).to_be_visible()


class NodeGraphTests(ConsoleCase):
    """The page of the nodes, at one of three."""

    def console(self) -> ServerProcess:
        nodes = NodeProcesses("redis")
        self.addCleanup(nodes.take_away)
        listen = {"endpoint": f"epoll:0:interface={HOST}", "kind": "http", "tls": "direct"}
        nodes.tables["admins"] = [ADMIN]
        nodes.tables["listen"] = [{**listen, "serve": ["console"]}]
        self.database = nodes.database
        first, self.second, self.third = nodes.start("a", "b", "c")
        for name in ("capulet", "romeo"):
            first.add_user(name, PASSWORD)
        return first

    def test_nodes(self) -> None:
        """Each node has its line, with what it counts now; one that is killed is said to be gone,
        in both themes, and whether the window is narrow or not.
        """
        romeo = RawClient(self.second)
        self.addCleanup(romeo.close)
        romeo.log_in("romeo", PASSWORD, "orchard")
        page = self.page()
        self.go(page, "Nodes")
        expect(page.locator("[data-graphs][data-drawn] canvas")).to_have_count(4)
        sessions = page.locator("[data-graph=node-sessions]")
        for node, count in (("a", "0"), ("b", "1"), ("c", "0")):
            last = sessions.locator(f"[data-line={node}] [data-last]")
            expect(last).to_have_text(count, timeout=PATIENCE_MS)
        # so do the tables
        other = RawClient(self.second)
        self.addCleanup(other.close)
        other.log_in("romeo", PASSWORD, "tomb")
        row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="b", exact=True))
        expect(row.first.locator("td").nth(2)).to_have_text("2", timeout=PATIENCE_MS)
        colours = page.evaluate(
            """() => [...document.querySelectorAll("[data-graph=lag] [data-line]")].map(
              (key) => getComputedStyle(key).color)"""
        )
        self.assertEqual(len(set(colours)), 3)
        # it has written nothing in its few minutes, but the database knows it from before
        reading = f'[1.0,"x"{",0.0" * 7},[0,0.0],[0,0.0],0.0]'
        execute(
            self.database,
            "INSERT INTO readings (node, place, number, at, counted) "
            f"VALUES ('c', 1, 1, {time.time() - 900}, '{reading}'), "
            f"('c', 2, 2, {time.time() - 600}, '{reading.replace('1.0', '301.0', 1)}')",
        )
        self.third.kill()
        expect(page.locator(".note")).to_contain_text("Node c is not there", timeout=PATIENCE_MS)
        expect(sessions.locator("[data-line=c] [data-last]")).to_have_text("gone")
        expect(sessions.locator("[data-line=b] [data-last]")).to_have_text("2")
        axe = (MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.evaluate(axe)
            self.assertEqual(page.evaluate(AXE), [])
        page.set_viewport_size({"width": 320, "height": 700})
        self.assertLessEqual(page.evaluate("document.documentElement.scrollWidth"), 320)


class EachPageTests(ConsoleCase):
    def test_each(self) -> None:
        """On each page axe finds nothing, in light and dark, and it fits into 320 pixels."""
        self.client("romeo", "orchard")
        for command, told in (
            ("group save", {"group": HOSTILE, "add": ["romeo@localhost"]}),
            ("block add", {"account": "romeo@localhost", "jid": ["spam.example", "x@y.example"]}),
            ("vcard set", {"account": "romeo@localhost", "nickname": HOSTILE, "title": "heir"}),
        ):
            self.server.tell(command, **told)
        axe = (MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
        found: list[str] = []
        for theme in ("light", "dark"):
            page = self.page(color_scheme=theme, viewport={"width": 1280, "height": 860})
            for place in PAGES:
                answer = page.goto(self.root + place)
                assert answer is not None
                self.assertEqual(answer.status, 200, place)
                page.evaluate(axe)
                found += [f"{place} in {theme}: {each}" for each in page.evaluate(AXE)]
                if SHOTS:
                    name = "".join(c if c.isalnum() else "-" for c in place) or "overview"
                    page.screenshot(path=f"{SHOTS}/{name}-{theme}.png", full_page=True)
        page.set_viewport_size({"width": 320, "height": 700})
        for place in PAGES:
            page.goto(self.root + place)
            width = page.evaluate("document.documentElement.scrollWidth")
            if width > 320:
                found.append(f"{place} is {width} pixels wide")
        self.assertEqual(found, [])

    def test_login(self) -> None:
        """The login is for everybody too."""
        axe = (MODULES / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
        for theme in ("light", "dark"):
            page = self.context(color_scheme=theme).new_page()
            page.goto(self.root)
            page.evaluate(axe)
            self.assertEqual(page.evaluate(AXE), [])

    def test_hostile(self) -> None:
        """Whatever peers call themselves is text: none of it runs."""
        resource = HOSTILE.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
        self.client("romeo", resource)
        page = self.page()
        for place in (
            "sessions", "user?account=romeo@localhost", f"find?q={HOSTILE}",
            f"do/user/show?account={HOSTILE}",
        ):  # fmt: skip
            page.goto(self.root + place)
            expect(page.locator("main")).to_contain_text("<script>ran()")
            self.assertEqual(page.locator("main script, main img").count(), 0)
