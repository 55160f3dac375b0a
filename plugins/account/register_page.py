"""RegisterPage: somebody makes an account by a browser, where that is allowed (ON-6)."""

from collections.abc import Callable, Iterator, Sequence

from xmppd.pages.page_site import Click, PageSite
from xmppd.pages.visitors import is_private
from xmppd.stanza import JID, Condition, StanzaError
from xmppd.web.http_path import HTTPPath
from xmppd.web.request import HTTPResponse
from xmppd_plugins.register.registration import SelfRegistration

from .endings import AccountEndings
from .puzzles import BITS, Puzzles

PATH = "register"
_STATUS = {
    Condition.CONFLICT: 409,
    Condition.RESOURCE_CONSTRAINT: 429,
    Condition.SERVICE_UNAVAILABLE: 403,
}
_CLOSED = "You cannot create an account here: ask those who run this server for an invitation."


class RegisterPage:
    """The page, by the rules and limits by which clients register.

    Args:
        site: That it belongs to.
        registration: Makes accounts.
        endings: Have the settings.
        puzzles: What is solved before.
        domains: Ours.
        web_client: Where a client for browsers is; empty if there is none.
    """

    def __init__(
        self,
        site: PageSite,
        registration: SelfRegistration,
        endings: AccountEndings,
        puzzles: Puzzles,
        domains: Sequence[str],
        web_client: Callable[[], str],
    ) -> None:
        self._site = site
        self._registration = registration
        self._endings = endings
        self._puzzles = puzzles
        self._domains = domains
        self._web_client = web_client

    def paths(self) -> Iterator[HTTPPath]:
        """The page, which also makes the account."""
        yield self._site.path(PATH, self._register, ("GET", "POST"), public=True)

    @property
    def is_open(self) -> bool:
        """Whether it is allowed here, as it is to clients."""
        return self._endings.settings.register and self._registration.settings.open

    async def _register(self, click: Click) -> HTTPResponse:
        domain = click.request.host if click.request.host in self._domains else self._domains[0]
        if not self.is_open or not self._registration.passwords.are_kept(domain):
            return click.page("register.html", status=403, said=_CLOSED, domain="")
        if click.request.method == "GET":
            return self._form(click, domain)
        name, password = click.field("name").strip(), click.field("password")
        if not is_private(click.request):
            return self._form(click, domain, "This connection is not encrypted.", 403)
        if password != click.field("again"):
            return self._form(click, domain, "The two passwords differ.", 400)
        if not self._puzzles.take(click.field("puzzle"), click.field("answer")):
            said = "Your browser is not ready yet: wait a second, and try again."
            return self._form(click, domain, said, 400)
        try:
            account = JID.of(name, domain)
            await self._registration.create(account, password, click.request.address)
        except ValueError as error:
            return self._form(click, domain, f"This is not a valid name: {error}.", 400)
        except StanzaError as error:
            status = _STATUS.get(error.condition, 400)
            return self._form(click, domain, error.text or "", status)
        where = self._web_client()
        return click.page("registered.html", account=account.bare, web_client=where)

    def _form(self, click: Click, domain: str, said: str = "", status: int = 200) -> HTTPResponse:
        return click.page(
            "register.html",
            status=status,
            said=said,
            domain=domain,
            name=click.field("name"),
            private=is_private(click.request),
            least=self._registration.settings.min_password_length,
            puzzle=self._puzzles.make(),
            bits=BITS,
        )


__all__ = ["PATH", "RegisterPage"]
