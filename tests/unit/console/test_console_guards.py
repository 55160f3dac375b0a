"""The console under attack: paths and forms that are asked for by others, and hostile names."""

import re
from collections import deque
from urllib.parse import quote, urlencode

from tests.unit.console.console_case import (
    ADMIN,
    HOSTILE,
    NURSE,
    PASSWORD,
    ROMEO,
    ROOT,
    ConsoleCase,
    links,
)
from tests.unit.pages.browser import Browser
from xmppd.console.asking import is_for_pages
from xmppd.stanza import JID
from xmppd.testing.client import done

TRAVERSALS = (
    "..%2f..%2fetc/passwd", "%2e%2e/%2e%2e/etc/passwd", "..;/users", "setup/../../users",
    "static/..%5cx", "%u002e%u002e/users", "users%00", "//users", "static/%252e%252e/console.py",
    "login/../users",
)  # fmt: skip
"""Ways around a guard that others have had."""

WITHOUT_ANSWER = f"{ROOT}live", f"{ROOT}stream/"


class CrawlerTests(ConsoleCase):
    plugins = ("muc", "archive", "http_upload", "pubsub")

    def crawl(self, browser: Browser) -> dict[str, str]:
        """All pages that lead to one another, each with what is in it."""
        self.house.bind("romeo", "orchard")
        found: dict[str, str] = {}
        left = deque([ROOT])
        while left:
            path = left.popleft()
            bare = path.split("#")[0]
            kind = bare.partition("?")[0]
            if bare in found or path.startswith(WITHOUT_ANSWER) or _is_seen_often(kind, found):
                continue
            answer = browser.get(bare)
            self.assertIn(answer.status, (200, 303), bare)
            found[bare] = answer.text
            left += links(answer)
        return found

    def test_admin(self) -> None:
        """An administrator reaches each command from the overview, and each page is whole."""
        found = self.crawl(self.admin)
        for name, command in self.house.server.commands.commands.items():
            if not is_for_pages(command.about):
                continue
            path = f"{ROOT}do/{name.replace(' ', '/')}"
            self.assertTrue(any(each.partition("?")[0] == path for each in found), name)
        self.assertGreater(len(found), 80)

    def test_others(self) -> None:
        """What an administrator reaches, nobody else does who lacks the scope for it."""
        nurse, romeo, nobody = self.browser(NURSE), self.browser(ROMEO), Browser(self.house)
        commands = self.house.server.commands
        may = commands.roles.scopes_of(JID.parse(NURSE))
        for path in self.crawl(self.admin):
            if path.startswith(f"{ROOT}static/"):
                continue
            answer = nobody.get(path)
            self.assertEqual(answer.status, 303, path)
            self.assertTrue(answer.headers["Location"].startswith(f"{ROOT}login"), path)
            self.assertEqual(romeo.get(path).status, 403, path)
            name = path.removeprefix(f"{ROOT}do/").partition("?")[0].replace("/", " ")
            about = commands.commands[name].about if name in commands.commands else None
            if about is not None:
                allowed = about.scope in may
                self.assertEqual(nurse.get(path).status == 404, not allowed, path)

    def test_forms(self) -> None:
        """No form of any command is taken from another site, without its token, or by GET."""
        count = self.rows("audit list")
        for name in self.house.server.commands.commands:
            path = f"{ROOT}do/{name.replace(' ', '/')}"
            given = {"account": ROMEO, "confirmed": "1", "password": PASSWORD}
            for headers in ({"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}):
                self.assertEqual(self.admin.post(path, given, **headers).status, 403, name)
            self.assertEqual(self.admin.post(path, {**given, "token": ""}).status, 403, name)
            token = self.house.server.visitors.form_token("somebody else")
            self.assertEqual(self.admin.post(path, {**given, "token": token}).status, 403, name)
            if self.house.server.commands.commands[name].about.effect != "reads":
                self.admin.get(f"{path}?{urlencode(given)}")
        self.assertTrue(done(self.house.store.accounts.exists(ROMEO)))
        self.assertEqual(self.rows("audit list"), count)

    def rows(self, name: str) -> int:
        """How many rows a command has."""
        answer = self.admin.get(f"{ROOT}do/{name.replace(' ', '/')}?as=csv")
        return max(0, len(answer.text.splitlines()) - 1)

    def test_traversal(self) -> None:
        """No way around leads anywhere, logged in or not."""
        for browser in (Browser(self.house), self.admin):
            for path in TRAVERSALS:
                answer = browser.get(f"{ROOT}{path}")
                self.assertIn(answer.status, (303, 400, 404), path)
                self.assertNotIn("root:", answer.text)
                if browser is not self.admin:
                    self.assertNotIn("Accounts", answer.text)


def _is_seen_often(kind: str, found: dict[str, str]) -> bool:
    """Whether a page was seen with several questions: some have no end of them."""
    return sum(path.partition("?")[0] == kind for path in found) >= 3


class HostileTests(ConsoleCase):
    plugins = ("muc", "archive", "http_upload", "pubsub")

    def assert_harmless(self, text: str, where: str) -> None:
        """Nothing in a page runs, turns round, or is endless."""
        self.assertNotIn("<script>ran", text, where)
        for turn in "\u202e\u2066\u200f":
            self.assertNotIn(turn, text, where)
        self.assertNotIn("x" * 201, text, where)
        self.assertNotIn("49", text.split(), where)

    def test_names(self) -> None:
        """Whatever people and peers are called is text: on lists, in forms, and in the audit."""
        for name in HOSTILE:
            resource = name[:1_000].replace("&", "").replace("<", "&lt;").replace('"', "&quot;")
            self.house.bind(
                "romeo", resource.replace("'", "&apos;").replace("\u202e", "").replace("\u2066", "")
            )
            for path, given in (
                ("group/save", {"group": name[:1_000], "display": name[:900], "add": ROMEO}),
                (
                    "roster/add",
                    {"account": ROMEO, "contact": NURSE, "name": name[:900], "group": name[:900]},
                ),
                ("key/add", {"name": name[:90]}),
                ("user/add", {"account": name, "password": "x"}),
                ("plugin/load", {"plugin": name}),
                ("session/end", {"jid": f"{ROMEO}/{name}", "reason": name}),
                ("room/create", {"room": name, "owner": ROMEO}),
            ):
                answer = self.admin.post(f"{ROOT}do/{path}", given)
                self.assertNotEqual(answer.status, 500, path)
                if answer.status == 200:
                    self.assert_harmless(_without_inputs(answer.text), path)
            for path in (
                "", "users", "sessions", "groups", "keys", "audit", f"user?account={ROMEO}",
                f"user?account={quote(name)}", f"find?q={quote(name)}",
                f"why?owner={quote(name)}&watcher=b", f"do/user/list?domain={quote(name)}",
                f"do/user/show?account={quote(name)}",
            ):  # fmt: skip
                if len(path) > 16_000:
                    continue
                answer = self.admin.get(f"{ROOT}{path}")
                self.assertNotEqual(answer.status, 500, path[:60])
                self.assert_harmless(_without_inputs(answer.text), path[:60])
        for command in ("session list", "group list", "roster show", "audit list"):
            query = f"?as=csv&account={ROMEO}" if command == "roster show" else "?as=csv"
            answer = self.admin.get(f"{ROOT}do/{command.replace(' ', '/')}{query}")
            self.assertEqual(answer.status, 200)
            self.assertNotRegex(answer.text, r'(?m)(^|,)"?[=+@]')

    def test_login(self) -> None:
        """What is typed at the login comes back as text."""
        for name in HOSTILE:
            browser = Browser(self.house)
            answer = browser.log_in(ROOT, name, "x")
            self.assertEqual(answer.status, 401)
            self.assertNotIn("<script>ran", answer.text)
            self.assertEqual(browser.log_in(ROOT, ADMIN, PASSWORD).status, 303)


def _without_inputs(text: str) -> str:
    """A page without what stands in fields, which is what was typed, and escaped."""
    text = re.sub(r"<textarea.*?</textarea>", "", text, flags=re.DOTALL)
    return re.sub(r'(value|href)="[^"]*"', "", text)
