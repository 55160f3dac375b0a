"""InvitePage: what somebody sees who opens the link of an invitation (ON-2).

The token stands behind ``#`` and so comes with a form only, by a script, or pasted in by hand: it
is in no address that a log or another site could see.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from xmppd.auth.base import RunInThread
from xmppd.command.command_context import Actor
from xmppd.pages.page_site import Click, PageSite
from xmppd.pages.visitors import Visitors, is_private
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPResponse
from xmppd_plugins.register.registration import SelfRegistration

from .clients import KnownClient, for_device
from .invitation import Invitation
from .invitations import Invitations
from .qr import picture

ROOT = "/invite/"
_TOKEN = re.compile(r"(?:#|preauth=)([A-Za-z0-9]{1,64})(?:;|$)")
_STATUS = {
    Condition.ITEM_NOT_FOUND: 404,
    Condition.CONFLICT: 409,
    Condition.RESOURCE_CONSTRAINT: 429,
    Condition.NOT_ACCEPTABLE: 400,
    Condition.JID_MALFORMED: 400,
}


class InvitePage:
    """Shows an invitation, and makes an account of whoever has it.

    Args:
        visitors: Guard forms; nobody logs in here.
        invitations: All of them.
        registration: Makes accounts.
        base_url: How the world reaches pages of a domain; None if it does not.
        run_in_thread: Draws codes.
        web_client: Where a client for browsers is; empty if there is none.
    """

    def __init__(
        self,
        visitors: Visitors,
        invitations: Invitations,
        registration: SelfRegistration,
        base_url: Callable[[str], str | None],
        run_in_thread: RunInThread,
        web_client: Callable[[], str],
    ) -> None:
        self._invitations = invitations
        self._registration = registration
        self._base_url = base_url
        self._run_in_thread = run_in_thread
        self._web_client = web_client
        self._site = PageSite(visitors, ROOT, "Invitation", "web", _nobody, Path(__file__).parent)

    def paths(self) -> Iterator[HTTPPath]:
        """The page, what is registered by it, and its files."""
        static = self._site.static
        yield HTTPPath(path=static.root, access=anybody, handle=static.serve)
        yield self._site.path("", self._open, ("GET", "POST"), public=True)
        yield self._site.path("register", self._register, ("POST",), public=True)

    def landing_url(self, domain: str, token: str) -> str:
        """The link of a token; empty if the world does not reach it."""
        base = self._base_url(domain)
        return "" if base is None else f"{base}{ROOT}#{token}"

    async def _open(self, click: Click) -> HTTPResponse:
        """The page without an invitation, or with that of a token."""
        if click.request.method == "GET":
            return click.page("start.html", said="")
        token = _token(click.field("invitation"))
        try:
            found = await self._invitations.open(token, click.request.address)
        except StanzaError as error:
            return _not_valid(click, error)
        return await self._invitation(click, found, token)

    async def _register(self, click: Click) -> HTTPResponse:
        token, name = click.field("invitation"), click.field("name").strip()
        address, password = click.request.address, click.field("password")
        try:
            voucher = await self._invitations.enter(token, address)
        except StanzaError as error:
            return _not_valid(click, error)
        show = partial(self._invitation, click, voucher.invitation, token, name)
        if not is_private(click.request):
            return await show("This connection is not encrypted: nothing was done.", 403)
        if password != click.field("again"):
            return await show("The two passwords differ.", 400)
        try:
            account = _account(voucher.name or name, voucher.domain)
            await self._registration.create(account, password, address, voucher)
        except StanzaError as error:
            if error.condition is Condition.ITEM_NOT_FOUND:  # others were quicker
                return _not_valid(click, error)
            return await show(error.text or "", _STATUS.get(error.condition, 400))
        mine, others = _clients(click)
        return click.page(
            "welcome.html",
            account=account.bare,
            clients=mine,
            others=others,
            web_client=self._web_client(),
        )

    async def _invitation(
        self, click: Click, found: Invitation, token: str, name: str = "", said: str = "",
        status: int = 200,
    ) -> HTTPResponse:  # fmt: skip
        uri = found.uri(token)
        link = self.landing_url(found.domain, token) or uri
        mine, others = _clients(click)
        return click.page(
            "invitation.html",
            status=status,
            inviter=found.inviter if found.is_contact else "",
            domain=found.domain,
            promised=found.name,
            registers=found.with_account,
            expires=found.expires,
            uri=uri,
            code=await self._run_in_thread(partial(picture, link)),
            invitation=token,
            name=found.name or name,
            said=said,
            private=is_private(click.request),
            least=self._registration.settings.min_password_length,
            clients=mine,
            others=others,
        )


def _nobody(actor: Actor) -> bool:
    """Let nobody in: all pages here are for everybody."""
    return False


def _clients(click: Click) -> tuple[tuple[KnownClient, ...], tuple[KnownClient, ...]]:
    """Those for the device of whoever looks, and all others."""
    return for_device(click.request.header("user-agent"))


def _token(text: str) -> str:
    """The token of a link, an address for clients, or itself."""
    found = _TOKEN.search(text.strip())
    return found[1] if found else text.strip()


def _account(name: str, domain: str) -> JID:
    """The account of a name that was typed.

    Raises:
        StanzaError: It cannot be one.
    """
    try:
        return JID.of(name, domain)
    except ValueError as error:
        raise StanzaError(Condition.JID_MALFORMED, f"This is not a valid name: {error}.") from error


def _not_valid(click: Click, error: StanzaError) -> HTTPResponse:
    """The one page for all tokens that are none, or not any more."""
    status = _STATUS.get(error.condition, 400)
    return click.page("start.html", status=status, said=error.text or "")


__all__ = ["ROOT", "InvitePage"]
