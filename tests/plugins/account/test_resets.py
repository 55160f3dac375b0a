"""Somebody has forgotten the password, and is sent a link."""

from tests.plugins.account.account_case import OTHER, ROMEO, ROOT, AccountCase
from tests.unit.pages.browser import seen
from xmppd.command.refused import Refused
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config
from xmppd.testing.web import WebAnswer
from xmppd_plugins.account.reset_page import MAX_WRONG_PER_HOUR

RESET = f"{ROOT}reset/"


class ResetTests(AccountCase):
    def setUp(self) -> None:
        super().setUp()
        self.browser.get(RESET)

    def link(self, **given: object) -> str:
        """A link for Romeo."""
        (row,) = self.tell("user reset", account=ROMEO, **given)
        return str(row["url"])

    def open(self, link: str) -> WebAnswer:
        """The page of a link."""
        return self.browser.post(RESET, {"link": link})

    def set(self, link: str, new: str = OTHER, again: str = "") -> WebAnswer:
        """What is answered to a new password."""
        token = link.rpartition("#")[2]
        fields = {"link": token, "new": new, "again": again or new}
        return self.browser.post(f"{RESET}set", fields)

    def test_set(self) -> None:
        """The link leads to a form that says whose password it is, and sets it; all who knew the
        old one are out.
        """
        (client,) = self.house.connect("romeo")
        link = self.link()
        self.assertRegex(link, "^https://chat.montague.lit/account/reset/#[a-z2-7]{26}$")
        self.assertIn(f"A new password for {ROMEO}", seen(self.open(link)))
        self.assertEqual(self.set(link).status, 200)
        self.assertTrue(self.is_password(OTHER))
        self.assertTrue(client.closed)

    def test_not_valid(self) -> None:
        """A link that was used, is over, was replaced or never was has the same page as all."""
        replaced, used = self.link(), self.link()
        self.set(used)
        late = self.link(expires="1h")
        self.house.wall_ahead_s += 3_601
        links = (replaced, used, late, "nonsense", "")
        pages = {(page.status, page.body) for page in map(self.open, links)}
        pages |= {(page.status, page.body) for page in map(self.set, links)}
        self.assertEqual(len(pages), 1)
        self.assertEqual(pages.pop()[0], 404)

    def test_tried_again(self) -> None:
        """Too short a password, or two that differ, do not use the link up."""
        link = self.link()
        self.assertIn("longer password", seen(self.set(link, "short")))
        self.assertIn("differ", seen(self.set(link, OTHER, "x")))
        self.assertTrue(self.is_password(PASSWORD))
        self.assertEqual(self.set(link).status, 200)

    def test_once(self) -> None:
        """A link sets one password."""
        link = self.link()
        self.set(link)
        self.assertEqual(self.set(link, PASSWORD).status, 404)
        self.assertTrue(self.is_password(OTHER))

    def test_guessing(self) -> None:
        """Who guesses at links is told nothing of right ones for an hour."""
        for _ in range(MAX_WRONG_PER_HOUR):
            self.open("nonsense")
        self.assertEqual(self.open(self.link()).status, 404)
        self.house.clock.advance(3_601)
        self.assertEqual(self.open(self.link()).status, 200)

    def test_removed(self) -> None:
        """The link of an account that was removed is none."""
        link = self.link()
        done(self.house.server.accounts.remove(self.house.jid("romeo")))
        self.assertEqual(self.open(link).status, 404)

    def test_refused(self) -> None:
        """There is no link for nobody, and none that nobody could open."""
        error = self.assertRaises(Refused, self.tell, "user reset", account="tybalt@montague.lit")
        self.assertIn("does not exist", str(error))
        config = house_config(
            "montague.lit", listen=[{"endpoint": "epoll:0", "kind": "http", "tls": "none"}]
        )
        self.house = House(config=config, plugins=("account",), romeo={})
        error = self.assertRaises(Refused, self.link)
        self.assertIn("web.url", str(error))
