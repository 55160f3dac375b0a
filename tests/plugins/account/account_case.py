"""A house with a page for people's accounts, and Romeo's browser."""

from collections.abc import Mapping

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.pages.browser import SecureBrowser
from xmppd.command.command_context import SHELL
from xmppd.command.reply import columns_of
from xmppd.testing.client import done
from xmppd.testing.house import PASSWORD, House, house_config
from xmppd.testing.web import WebAnswer

ROMEO = "romeo@montague.lit"
OTHER = "a rose is a rose is a rose"
ROOT = "/account/"
LISTEN = [{"endpoint": "epoll:0", "kind": "http", "tls": "none"}]
WEB = {"url": "https://chat.montague.lit", "trusted_proxies": ["127.0.0.1"]}


class AccountCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = self.furnish()
        self.browser = SecureBrowser(self.house)

    def furnish(self, **tables: Mapping[str, object]) -> House:
        """A house with these settings."""
        config = house_config("montague.lit", listen=LISTEN, web=WEB, **tables)
        house = House(config=config, plugins=("account", "invites"), romeo={}, juliet={})
        for name in ("romeo", "juliet"):
            done(house.server.passwords.set_password(f"{name}@montague.lit", PASSWORD))
        return house

    def log_in(self, password: str = PASSWORD) -> WebAnswer:
        """Log in, and look at the page."""
        return self.browser.follow(self.browser.log_in(ROOT, ROMEO, password))

    def is_password(self, password: str) -> bool:
        """Whether it is Romeo's."""
        return done(self.house.server.auth_provider.check_password(ROMEO, password))

    def exists(self) -> bool:
        """Whether Romeo has an account."""
        return done(self.house.server.store.accounts.exists(ROMEO))

    def tell(self, command: str, **given: object) -> list[Mapping[str, object]]:
        """The rows of a command, from the shell."""

        async def run() -> list[Mapping[str, object]]:
            table = self.house.server.commands
            replies = table.replies(*table.asked(command, given, SHELL))
            return [columns_of(each) async for each in replies if not isinstance(each, str)]

        return done(run())
