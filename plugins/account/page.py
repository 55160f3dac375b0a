"""AccountPage: what somebody does with their account by a browser (ON-5).

What is a command of the server is given as one, by the owner: it is refused, and written down, as
everywhere else.
"""

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from functools import partial
from pathlib import Path

from xmppd.auth.base import SASLError
from xmppd.command.command_context import Actor
from xmppd.command.command_table import CommandTable
from xmppd.command.other_nodes import Incomplete
from xmppd.command.refused import Refused
from xmppd.command.reply import columns_of
from xmppd.config.scopes import OWN
from xmppd.pages.page_site import Click, PageSite
from xmppd.pages.visitors import NO_PASSWORDS, Visitors, set_cookie
from xmppd.stanza import JID, StanzaError
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse
from xmppd_plugins.register.registration import SelfRegistration

from .endings import AccountEndings
from .export import AccountExport

ROOT = "/account/"
PASSWORD = "password"  # noqa: S105  # a word in addresses

Rows = list[Mapping[str, object]]


class AccountPage:
    """The page, and what its forms do.

    Args:
        visitors: Who has logged in.
        commands: What owners may do.
        registration: The rules for passwords.
        endings: Accounts that are to end.
        export: Writes their data down.
    """

    def __init__(
        self,
        visitors: Visitors,
        commands: CommandTable,
        registration: SelfRegistration,
        endings: AccountEndings,
        export: AccountExport,
    ) -> None:
        self._visitors = visitors
        self._commands = commands
        self._registration = registration
        self._endings = endings
        self._export = export
        self.site = PageSite(visitors, ROOT, "Your account", "web", _may, Path(__file__).parent)

    def paths(self) -> Iterator[HTTPPath]:
        """All below ``/account/``, and what leads there."""
        yield from self.site.paths()
        yield self.site.path("", self.show)
        yield self.site.path(PASSWORD, self.change_password, ("POST",))
        yield self.site.path("revoke", self.revoke, ("POST",))
        yield self.site.path("delete-file", self.delete_file, ("POST",))
        yield self.site.path("invite", self.invite, ("POST",))
        yield self.site.path("revoke-invitation", self.revoke_invitation, ("POST",))
        yield self.site.path("export", self.export, ("POST",))
        yield self.site.path("end", self.end, ("POST",))
        yield self.site.path("stay", self.stay, ("POST",))
        yield HTTPPath(
            path="/.well-known/change-password",
            access=anybody,
            handle=partial(_lead, f"{ROOT}#{PASSWORD}"),
        )

    # -- looking ----------------------------------------------------------------------------------

    async def show(self, click: Click) -> HTTPResponse:
        """The page."""
        return await self._page(click)

    async def _page(self, click: Click, status: int = 200, **more: object) -> HTTPResponse:
        account = _owner(click)
        values = {
            "devices": await self._rows(click, "device list", account=account.bare),
            "files": await self._rows(click, "upload list", account=account.bare),
            "invitations": await self._rows(click, "invite list", **{"from": account.bare}),
            "can_invite": "invite create" in self._commands.commands,
            "due": await self._endings.due(account),
            "may_change": self._registration.settings.change_password,
            "keeper": await self._registration.passwords.keeper(account.bare),
            "passwords": self._visitors.has_passwords(account),
            "may_end": self._registration.settings.remove_account,
            "days": self._endings.settings.delete_after_s / 86_400,
            "least": self._registration.settings.min_password_length,
            "made": None,
            "said": "",
            "wrong": "",
            **more,
        }
        return click.page("account.html", status=status, **values)

    async def _rows(self, click: Click, name: str, /, **given: object) -> Rows | None:
        """The rows of a command; None where there is no such command."""
        if name not in self._commands.commands:
            return None
        return await self._give(click, name, **given)

    async def _give(self, click: Click, name: str, /, **given: object) -> Rows:
        """Give a command in the owner's name.

        Raises:
            Refused: It cannot be done.
        """
        assert click.actor is not None, "only logged-in users get here"
        asked = self._commands.asked(name, given, click.actor)
        found: Rows = []
        try:
            async with aclosing(self._commands.replies(*asked)) as replies:
                async for reply in replies:
                    if not isinstance(reply, str):
                        found.append(columns_of(reply))
        except Incomplete as error:
            click.visitor and click.visitor.tell(f"{error}.")
        return found

    async def _done(
        self, click: Click, said: str, where: str, name: str, /, **given: object
    ) -> HTTPResponse:
        """Give a command, and lead back with a sentence about it."""
        try:
            await self._give(click, name, **given)
        except Refused as error:
            said = f"{str(error)[:1].upper()}{str(error)[1:]}."
        return click.away(f"{ROOT}#{where}", said)

    # -- what its forms do ------------------------------------------------------------------------

    async def change_password(self, click: Click) -> HTTPResponse:
        """Another password, for whoever knows the present one; all else that knew it is out."""
        account, new = _owner(click), click.field("new")
        if not self._registration.settings.change_password:
            return await self._wrong(click, "You cannot change your password here.", 403)
        if await self._registration.passwords.keeper(account.bare):
            return await self._wrong(click, "", 403)  # the page says where it is changed
        if new != click.field("again"):
            return await self._wrong(click, "The two new passwords differ.", 400)
        try:
            self._registration.check_password(new)
            await self._prove(click)
            await self._registration.accounts.set_password(
                account, new, address=click.request.address
            )
            cookie = await self._visitors.log_in(account.bare, new, click.request)
        except StanzaError as error:
            return await self._wrong(click, error.text or "", 400)
        except SASLError as error:
            return await self._wrong(click, _said(error), 401)
        visitor = self._visitors.find(cookie)
        if visitor is not None:
            visitor.tell("Your password was changed. Your other devices need it to log in again.")
        return click.away(ROOT, headers=(set_cookie(click.request, cookie),))

    async def revoke(self, click: Click) -> HTTPResponse:
        """A device is out, and has no token any more."""
        given = {"account": _owner(click).bare, "device": click.field("device")}
        said = "The device was logged out. If it knows the password, change that as well."
        return await self._done(click, said, "devices", "device revoke", **given)

    async def delete_file(self, click: Click) -> HTTPResponse:
        """A file is deleted."""
        given = {"account": _owner(click).bare, "id": click.field("id")}
        return await self._done(click, "The file was deleted.", "files", "upload delete", **given)

    async def invite(self, click: Click) -> HTTPResponse:
        """An invitation, whose link is shown this once."""
        try:
            made = await self._give(click, "invite create")
        except Refused as error:
            return click.away(f"{ROOT}#invitations", f"{str(error)[:1].upper()}{str(error)[1:]}.")
        return await self._page(click, made=made[0])

    async def revoke_invitation(self, click: Click) -> HTTPResponse:
        """Nobody comes by an invitation any more."""
        said, given = "The invitation was revoked.", {"id": click.field("id")}
        return await self._done(click, said, "invitations", "invite revoke", **given)

    async def export(self, click: Click) -> HTTPResponse:
        """A file with all that the server keeps of somebody, for whoever knows the password: the
        keys of it are in there.
        """
        try:
            await self._prove(click)
        except SASLError as error:
            return await self._wrong(click, _said(error), 401, "export")
        file = await self._export.file(_owner(click))
        if file is None:
            said = "Too many downloads are in progress: try again in a minute."
            return await self._wrong(click, said, 429, "export")
        return file

    async def end(self, click: Click) -> HTTPResponse:
        """The account ends in a week, which whoever knows the password may ask for."""
        if not self._registration.settings.remove_account:
            return await self._wrong(click, "You cannot remove your account here.", 403, "end")
        try:
            await self._prove(click)
        except SASLError as error:
            return await self._wrong(click, _said(error), 401, "end")
        await self._endings.ask(_owner(click))
        return click.away(ROOT)

    async def stay(self, click: Click) -> HTTPResponse:
        """It does not."""
        await self._endings.take_back(_owner(click))
        return click.away(ROOT, "Your account will not be removed.")

    async def _prove(self, click: Click) -> None:
        """Have the present password given.

        Raises:
            SASLError: It is not the right one.
        """
        assert click.visitor is not None, "only logged-in users get here"
        await self._visitors.prove(click.visitor, click.field("current"), click.request)

    async def _wrong(
        self, click: Click, said: str, status: int, where: str = PASSWORD
    ) -> HTTPResponse:
        return await self._page(click, status, said=said, wrong=where)


def _owner(click: Click) -> JID:
    assert click.visitor is not None, "only logged-in users get here"
    return click.visitor.account


def _may(actor: Actor) -> bool:
    return OWN in actor.scopes


def _said(error: SASLError) -> str:
    if error.condition == "temporary-auth-failure":
        return "Too many attempts: wait a little, then try again."
    if error.condition == NO_PASSWORDS:
        return (
            "You opened this page by a link some time ago. To do this, ask for a new link and "
            "open it."
        )
    return "The current password is wrong."


def _lead(there: str, request: HTTPRequest) -> HTTPResponse:
    return HTTPResponse(302, b"", (("Location", there),))


__all__ = ["PASSWORD", "ROOT", "AccountPage"]
