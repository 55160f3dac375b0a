"""Those who have no password here: how they come to their pages, and what these do not offer."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.console.console_case import ADMIN, NURSE, PASSWORD, ROMEO, ROOT
from tests.unit.pages.browser import Browser, SecureBrowser, seen
from xmppd.auth.base import AuthProvider
from xmppd.command.command_context import SHELL, Actor
from xmppd.command.refused import Refused
from xmppd.command.reply import columns_of
from xmppd.config.config import RoleSettings
from xmppd.config.scopes import ROLES
from xmppd.pages import visitors as module
from xmppd.pages.visitors import LINK_S, PROOF_S
from xmppd.stanza import JID
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config

WEB = {"url": "https://chat.montague.lit", "trusted_proxies": ["127.0.0.1"]}


class Issuer(AuthProvider):
    """Knows people by tokens."""

    name = "issuer"

    def has_passwords(self, domain: str) -> bool:
        """None."""
        return False


class Directory(AuthProvider):
    """Knows people by passwords."""

    name = "directory"

    async def check_password(self, account: str, password: str) -> bool:
        """One for all."""
        return password == PASSWORD


class EntryCase(SynchronousTestCase):
    """People whom somebody else knows."""

    def furnish(self, *auth: str, **more: Any) -> None:
        """A house whose people these know."""
        config = replace(
            house_config(
                "montague.lit", domain=[{"name": "montague.lit", "auth": list(auth)}], **more
            ),
            admins=(ADMIN,),
            role=(RoleSettings("operator", (NURSE,)),),
        )
        self.house = House(config=config, plugins=("account", "invites"))
        for provider in (Issuer(), Directory()):
            self.house.server.auth_provider.put(provider, "test")
        for account in (ADMIN, NURSE, ROMEO):
            done(self.house.store.accounts.create_account(account, ()))

    def new(self, root: str) -> Browser:
        """A browser for pages below a path."""
        return Browser(self.house) if root == ROOT else SecureBrowser(self.house)

    def tell(self, command: str, actor: Actor = SHELL, **given: object) -> list[Any]:
        """What a command answers."""

        async def run() -> list[Any]:
            table = self.house.server.commands
            replies = table.replies(*table.asked(command, given, actor))
            return [each if isinstance(each, str) else columns_of(each) async for each in replies]

        return done(run())

    def refused(self, command: str, actor: Actor = SHELL, **given: object) -> str:
        """Why a command is not done."""
        with self.assertRaises(Refused) as caught:
            self.tell(command, actor, **given)
        return str(caught.exception)


class LinkTests(EntryCase):
    """A link instead of a password."""

    def setUp(self) -> None:
        listen = [
            {"endpoint": "epoll:0", "kind": "http", "tls": "none", "serve": ["web", "console"]}
        ]
        self.furnish("issuer", listen=listen, web=WEB)
        self.house.server.http_doors.endpoints = (Open(self.house.server.config.listen[0]),)

    def link(self, account: str = ADMIN, page: str = "console") -> Mapping[str, object]:
        """A link that was made."""
        (row,) = self.tell("console link", account=account, page=page)
        return dict(row)

    def come(self, url: object, root: str = ROOT) -> Browser | None:
        """Somebody who has opened a link; None if it leads nowhere."""
        browser = self.new(root)
        page = browser.get(f"{root}link")
        self.assertIn("data-token", page.text)
        answer = browser.post(f"{root}link", {"link": str(url)})
        if answer.status == 404:
            self.assertIn("This link is invalid or has expired.", seen(answer))
            return None
        self.assertEqual(browser.follow(answer).status, 200)
        return browser

    def test_sentence(self) -> None:
        """The login page says that there are no passwords, and what to do; so it does to whoever
        fills it in all the same.
        """
        browser = Browser(self.house)
        page = browser.get(f"{ROOT}login")
        self.assertIn("xmppctl console link", seen(page))
        self.assertNotIn('type="password"', page.text)
        browser.token = self.house.server.visitors.form_token(browser.cookies["xmppd"])
        answer = browser.post(f"{ROOT}login", {"account": ADMIN, "password": PASSWORD})
        self.assertEqual(answer.status, 401)
        self.assertIn("xmppctl console link", seen(answer))

    def test_once(self) -> None:
        """Whoever has a link is in, once."""
        made = self.link()
        self.assertTrue(str(made["url"]).startswith("https://chat.montague.lit/console/link#"))
        browser = self.come(made["url"])
        assert browser is not None
        self.assertIn(ADMIN, seen(browser.get(ROOT)))
        self.assertIsNone(self.come(made["url"]))

    def test_over(self) -> None:
        """It is good for five minutes; and not when the account was closed or its streams ended
        meanwhile, nor for those who never had one.
        """
        made = self.link()
        self.house.clock.advance(LINK_S)
        self.assertIsNone(self.come(made["url"]))
        self.assertIsNone(self.come("https://chat.montague.lit/console/link#guessed"))
        self.assertIsNone(self.come(""))
        made = self.link()
        done(self.house.server.accounts.disable(JID.parse(ADMIN)))
        self.assertIsNone(self.come(made["url"]))
        done(self.house.server.accounts.enable(JID.parse(ADMIN)))
        made = self.link()
        done(self.house.server.accounts.disable(JID.parse(ADMIN)))
        done(self.house.server.accounts.enable(JID.parse(ADMIN)))
        self.assertIsNone(self.come(made["url"]))

    def test_so_many(self) -> None:
        """So many are good at the same time; the oldest is not any more."""
        self.patch(module, "MAX_LINKS", 2)
        links = [self.link()["url"] for _ in range(3)]
        self.assertIsNone(self.come(links[0]))
        self.assertIsNotNone(self.come(links[1]))

    def test_for_whom(self) -> None:
        """Nobody makes one for who may do more, or has nothing to do there, or is nobody."""
        nurse = Actor(JID.parse(NURSE), ROLES["operator"] | {"accounts:write"})
        self.assertIn(
            "has rights that you lack", self.refused("console link", nurse, account=ADMIN)
        )
        self.assertIn("may not use the console", self.refused("console link", account=ROMEO))
        nobody = "nobody@montague.lit"
        self.assertIn("does not exist", self.refused("console link", account=nobody))

    def test_account(self) -> None:
        """Others come to the page of their account in the same way, where they have no password to
        change, and end the account by having come just now.
        """
        made = self.link(ROMEO, page="account")
        browser = self.come(made["url"], "/account/")
        assert browser is not None
        page = browser.get("/account/")
        self.assertIn("You have no password here", seen(page))
        self.assertNotIn('type="password"', page.text)
        self.house.clock.advance(PROOF_S)
        self.assertIn("ask for a new link", seen(browser.post("/account/end", {})))
        browser = self.come(self.link(ROMEO, page="account")["url"], "/account/")
        assert browser is not None
        self.assertEqual(browser.post("/account/end", {}).status, 303)

    def test_asked_again(self) -> None:
        """What ends something wants a new link after ten minutes, in place of the password."""
        browser = self.come(self.link()["url"])
        assert browser is not None
        told = {"account": ROMEO}
        browser.get(f"{ROOT}do/user/delete")
        self.assertNotIn('type="password"', browser.post(f"{ROOT}do/user/delete", told).text)
        self.house.clock.advance(PROOF_S)
        page = browser.post(f"{ROOT}do/user/delete", told)
        self.assertIn("create a new link", seen(page))
        browser.post(f"{ROOT}do/user/delete", {**told, "confirmed": "1", "password": PASSWORD})
        self.assertTrue(done(self.house.store.accounts.exists(ROMEO)))

    def test_nowhere(self) -> None:
        """Where no browser could come, there is none."""
        self.house.server.http_doors.endpoints = ()
        self.assertIn("no listener serves", self.refused("console link", account=ADMIN))


class Open:
    """An endpoint that is open."""

    where = "127.0.0.1:5281"

    def __init__(self, listen: Any) -> None:
        self.listen = listen


class ReadOnlyTests(EntryCase):
    """Passwords that are kept elsewhere are not offered to be changed (CN-10)."""

    def setUp(self) -> None:
        listen = [{"endpoint": "epoll:0", "kind": "http", "tls": "none"}]
        self.furnish("directory", listen=listen, web=WEB)

    def browser(self, account: str, root: str = ROOT) -> Browser:
        """Somebody who has logged in with the directory's password."""
        browser = self.new(root)
        self.assertEqual(browser.log_in(root, account, PASSWORD).status, 303)
        return browser

    def test_console(self) -> None:
        """The console says who knows the people, instead of the buttons and the forms."""
        admin, said = self.browser(ADMIN), "directory manages the accounts of montague.lit"
        page = admin.get(f"{ROOT}user?account={ROMEO}")
        self.assertIn(said.capitalize()[:9], seen(page))
        self.assertIn("manages the accounts of montague.lit", seen(page))
        self.assertNotIn("do/user/password", page.text)
        self.assertNotIn("do/user/reset", page.text)
        self.assertIn("do/user/disable", page.text)
        self.assertNotIn("do/user/add", admin.get(f"{ROOT}users").text)
        form = admin.get(f"{ROOT}do/user/password?account={ROMEO}")
        self.assertIn("manages the accounts of montague.lit", seen(form))
        self.assertNotIn('name="password"', form.text)
        admin.get(f"{ROOT}do/user/password")
        answer = admin.post(
            f"{ROOT}do/user/password", {"account": ROMEO, "password": "other than before"}
        )
        self.assertEqual(answer.status, 400)
        for command in ("user password", "user add"):
            self.assertIn(said, self.refused(command, account=ROMEO, password="x" * 9))
        self.assertIn(said, self.refused("user reset", account=ROMEO))

    def test_account_page(self) -> None:
        """So does the page of somebody's account, which takes no other password either."""
        romeo = self.browser(ROMEO, "/account/")
        page = romeo.get("/account/")
        self.assertIn("Your password is kept by another service (directory)", seen(page))
        self.assertNotIn('name="new"', page.text)
        fields = {"current": PASSWORD, "new": "x" * 12, "again": "x" * 12}
        answer = romeo.post("/account/password", fields)
        self.assertEqual(answer.status, 403)
        self.assertIn("is changed there", seen(answer))

    def test_both(self) -> None:
        """Where a domain has passwords of its own as well, those who have one change it."""
        listen = [{"endpoint": "epoll:0", "kind": "http", "tls": "none"}]
        self.furnish("internal", "directory", listen=listen, web=WEB)
        done(self.house.server.passwords.set_password(NURSE, "moonlight"))
        romeo, nurse = self.new("/account/"), self.new("/account/")
        romeo.log_in("/account/", ROMEO, PASSWORD)
        nurse.log_in("/account/", NURSE, "moonlight")
        self.assertIn("kept by another service (directory)", seen(romeo.get("/account/")))
        self.assertIn('name="new"', nurse.get("/account/").text)


__all__ = ["LinkTests", "ReadOnlyTests"]
