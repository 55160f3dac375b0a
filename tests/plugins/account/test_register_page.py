"""People make an account by a browser, where that is allowed."""

import re
from html import unescape
from itertools import count

from tests.plugins.account.account_case import ROOT, AccountCase
from tests.unit.pages.browser import SecureBrowser, seen
from xmppd.testing.client import done
from xmppd_plugins.account import puzzles as module
from xmppd_plugins.account.puzzles import GOOD_S, solves

TYBALT = "tybalt@montague.lit"
PASSWORD = "prince of cats"


class RegisterTests(AccountCase):
    """The page (ON-6)."""

    def setUp(self) -> None:
        self.patch(module, "BITS", 4)
        super().setUp()
        self.open(open=True)

    def open(self, *, register: bool = True, **settings: object) -> None:
        """A house in which that is allowed, or not."""
        self.house = self.furnish(account={"register": register}, registration=settings)
        self.browser = SecureBrowser(self.house)

    def fields(self, **others: str) -> dict[str, str]:
        """A form that is filled in, and its puzzle solved."""
        page = self.browser.get(f"{ROOT}register").text
        (puzzle,) = re.findall(r'name="puzzle" value="([^"]*)"', page)
        puzzle = unescape(puzzle)
        answer = next(str(each) for each in count() if solves(puzzle, str(each)))
        made = {"name": "tybalt", "password": PASSWORD, "again": PASSWORD}
        return {**made, "puzzle": puzzle, "answer": answer, **others}

    def register(self, **others: str) -> int:
        """The status of the answer."""
        return self.browser.post(f"{ROOT}register", self.fields(**others)).status

    def has(self, account: str = TYBALT) -> bool:
        """Whether there is an account."""
        return done(self.house.server.store.accounts.exists(account))

    def test_made(self) -> None:
        """Whoever fills it in has an account, and logs in; the login page leads there."""
        self.assertIn("/account/register", self.browser.get(f"{ROOT}login").text)
        answer = self.browser.post(f"{ROOT}register", self.fields())
        self.assertIn(f"{TYBALT} is yours", seen(answer))
        self.assertEqual(self.browser.log_in(ROOT, TYBALT, PASSWORD).status, 303)

    def test_closed(self) -> None:
        """It is there only if both are allowed: registration, and this page."""
        for register, is_open in ((False, True), (True, False)):
            with self.subTest((register, is_open)):
                self.open(register=register, open=is_open)
                answer = self.browser.get(f"{ROOT}register")
                self.assertEqual(answer.status, 403)
                self.assertIn("ask those who run this server", seen(answer))
                self.assertNotIn("<form", answer.text)
                self.browser.get(f"{ROOT}login")
                fields = {"name": "tybalt", "password": PASSWORD, "again": PASSWORD}
                self.assertEqual(self.browser.post(f"{ROOT}register", fields).status, 403)
                self.assertNotIn("/account/register", self.browser.get(f"{ROOT}login").text)
                self.assertFalse(self.has())

    def test_refused(self) -> None:
        """A name that is taken or none, a short password, or two that differ make nothing."""
        for status, others in (
            (409, {"name": "romeo"}),
            (400, {"name": "a@b"}),
            (400, {"name": ""}),
            (400, {"name": "admin"}),
            (400, {"password": "x", "again": "x"}),
            (400, {"again": "x"}),
        ):
            with self.subTest(others):
                self.assertEqual(self.register(**others), status)
        self.assertFalse(self.has())

    def test_puzzle(self) -> None:
        """Without an answer, with one that was used, or too late, nothing is made."""
        fields = self.fields()
        made = self.fields(name="mercutio")
        self.assertEqual(self.browser.post(f"{ROOT}register", made).status, 200)
        used = {"puzzle": made["puzzle"], "answer": made["answer"]}
        wrong = next(each for each in map(str, count()) if not solves(fields["puzzle"], each))
        for others in ({"answer": wrong}, {"puzzle": ""}, {"puzzle": "0.x.y"}, used):
            with self.subTest(others):
                sent = {**fields, **others}
                self.assertEqual(self.browser.post(f"{ROOT}register", sent).status, 400)
        self.house.clock.advance(GOOD_S)
        self.assertEqual(self.browser.post(f"{ROOT}register", fields).status, 400)
        self.assertFalse(self.has())

    def test_so_many_solved(self) -> None:
        """So many puzzles are solved within that time; after it others are."""
        self.patch(module, "MAX_SOLVED", 1)
        self.assertEqual(self.register(), 200)
        self.assertEqual(self.register(name="mercutio"), 400)
        self.house.clock.advance(GOOD_S)
        self.assertEqual(self.register(name="mercutio"), 200)

    def test_limit(self) -> None:
        """From one network come as many in an hour as by clients, and together with these."""
        self.open(open=True, per_address_per_hour=1)
        self.assertEqual(self.register(), 200)
        self.assertEqual(self.register(name="mercutio"), 429)


__all__ = ["RegisterTests"]
