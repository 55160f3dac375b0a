"""A console, and people of each role who look at it."""

import re
from collections.abc import Iterator
from html import unescape

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.pages.browser import Browser
from xmppd.config.config import RoleSettings
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config
from xmppd.testing.web import WebAnswer

ROOT = "/console/"
ADMIN, NURSE, ROMEO = "capulet@montague.lit", "nurse@montague.lit", "romeo@montague.lit"
HOSTILE = (
    '"><script>ran()</script>',
    "\u202egnp.exe\u2066",
    "x" * 10_000,
    '=HYPERLINK("https://evil.example")',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:ran()",
)
"""What peers and people may be called."""


class ConsoleCase(SynchronousTestCase):
    """An administrator, an operator, and somebody without a role."""

    plugins: tuple[str, ...] = ()

    def setUp(self) -> None:
        config = replace(
            house_config("montague.lit"),
            admins=(ADMIN,),
            role=(RoleSettings("operator", (NURSE,)),),
        )
        self.house = House(config=config, plugins=self.plugins, capulet={}, nurse={}, romeo={})
        for account in (ADMIN, NURSE, ROMEO):
            done(self.house.server.passwords.set_password(account, PASSWORD))
        self.admin = self.browser(ADMIN)

    def browser(self, account: str) -> Browser:
        """Somebody who has logged in."""
        browser = Browser(self.house)
        self.assertEqual(browser.log_in(ROOT, account, PASSWORD).status, 303)
        browser.token = self.house.server.visitors.form_token(browser.cookies["xmppd"])
        return browser

    def add(self, *accounts: str) -> None:
        """Have further accounts."""
        for account in accounts:
            done(self.house.server.passwords.create(account, PASSWORD))


def links(answer: WebAnswer) -> Iterator[str]:
    """Where a page leads, inside of the console."""
    for found in re.findall(r'(?:href|data-live|data-stream)="([^"]*)"', answer.text):
        link = unescape(found)
        if link.startswith(ROOT):
            yield link


__all__ = ["ADMIN", "HOSTILE", "NURSE", "PASSWORD", "ROMEO", "ROOT", "ConsoleCase", "links"]
