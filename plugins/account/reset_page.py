"""ResetPage: somebody who has forgotten their password chooses another, by a link (ON-4)."""

from collections.abc import Callable, Iterator

from xmppd.account.accounts import Accounts
from xmppd.pages.page_site import Click, PageSite
from xmppd.pages.visitors import is_private
from xmppd.stanza import JID, StanzaError
from xmppd.store.accounts import NoSuchAccount
from xmppd.web.http_path import HTTPPath
from xmppd.web.request import HTTPResponse
from xmppd_plugins.register.registration import HourlyLimit, SelfRegistration

from .page import ROOT
from .resets import PasswordResets

PATH = "reset/"
MAX_WRONG_PER_HOUR = 100
"""Links that are none and may come from one network; then it is told nothing of others either."""


class ResetPage:
    """The page of such a link, whose token stands behind ``#``.

    Args:
        site: That it belongs to.
        resets: The links.
        accounts: Gives accounts another password.
        registration: The rules for passwords.
        base_url: How the world reaches pages of a domain; None if it does not.
        wrong: Counts links that are none, by the address they come from.
    """

    def __init__(
        self,
        site: PageSite,
        resets: PasswordResets,
        accounts: Accounts,
        registration: SelfRegistration,
        base_url: Callable[[str], str | None],
        wrong: HourlyLimit,
    ) -> None:
        self._site = site
        self._resets = resets
        self._accounts = accounts
        self._registration = registration
        self._base_url = base_url
        self._wrong = wrong

    def paths(self) -> Iterator[HTTPPath]:
        """The page, and what sets the password."""
        yield self._site.path(PATH, self._open, ("GET", "POST"), public=True)
        yield self._site.path(f"{PATH}set", self._set, ("POST",), public=True)

    def url(self, domain: str, token: str) -> str:
        """The link of a token; empty if the world does not reach it."""
        base = self._base_url(domain)
        return "" if base is None else f"{base}{ROOT}{PATH}#{token}"

    async def _open(self, click: Click) -> HTTPResponse:
        """The page without a link, or the form for the new password."""
        if click.request.method == "GET":
            return click.page("reset.html", said="")
        token = _token(click.field("link"))
        account = await self._whose(click, token)
        return _not_valid(click) if account is None else self._form(click, account, token)

    async def _set(self, click: Click) -> HTTPResponse:
        """Set it, once."""
        token, new = click.field("link"), click.field("new")
        account = await self._whose(click, token)
        if account is None:
            return _not_valid(click)
        if not is_private(click.request):
            return self._form(click, account, token, "This connection is not encrypted.", 403)
        if new != click.field("again"):
            return self._form(click, account, token, "The two passwords differ.", 400)
        try:
            self._registration.check_password(new)
        except StanzaError as error:
            return self._form(click, account, token, error.text or "", 400)
        if not await self._resets.use(token):  # somebody else was quicker with the same link
            return _not_valid(click)
        try:
            await self._accounts.set_password(account, new)
        except (NoSuchAccount, ValueError):  # it was removed meanwhile, or is known elsewhere now
            return _not_valid(click)
        return click.page("reset_done.html", account=account.bare)

    async def _whose(self, click: Click, token: str) -> JID | None:
        address = click.request.address
        if self._wrong.reached(address, MAX_WRONG_PER_HOUR):
            return None
        account = await self._resets.whose(token)
        if account is None:
            self._wrong.count(address)
        return account

    def _form(
        self, click: Click, account: JID, token: str, said: str = "", status: int = 200
    ) -> HTTPResponse:
        return click.page(
            "reset_form.html",
            status=status,
            account=account.bare,
            link=token,
            said=said,
            private=is_private(click.request),
            least=self._registration.settings.min_password_length,
        )


def _token(text: str) -> str:
    """The token of a link, or itself."""
    return text.strip().rpartition("#")[2]


def _not_valid(click: Click) -> HTTPResponse:
    """The one page for all links that are none, or not any more."""
    return click.page("reset.html", status=404, said="This link is invalid or has expired.")


__all__ = ["MAX_WRONG_PER_HOUR", "PATH", "ResetPage"]
