"""PageSite: pages below one path, for people who have logged in; all that guards them is here."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from secrets import token_urlsafe
from urllib.parse import parse_qs, quote, urlsplit

from xmppd.auth.base import SASLError
from xmppd.command.command_context import Actor
from xmppd.pages.static_files import StaticFiles
from xmppd.pages.templates import Templates
from xmppd.pages.visitors import (
    NO_PASSWORDS,
    PageVisitor,
    Visitors,
    cookie_name,
    cookie_of,
    is_private,
    set_cookie,
)
from xmppd.web.http_path import HTTPPath, Site, anybody
from xmppd.web.request import Answer, HTTPError, HTTPRequest, HTTPResponse, Pairs

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may do (CN-1)."""

HTML = "text/html; charset=utf-8"
FORM = "application/x-www-form-urlencoded"
TOKEN = "token"  # noqa: S105  # the name of a field
THEMES = ("light", "dark")
MAX_FIELDS = 200
MAX_NEXT_LENGTH = 2_000

Form = Mapping[str, list[str]]

_GUARD: Pairs = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),  # with none at all a browser would hide where a form was
    ("Content-Security-Policy", POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


@dataclass(frozen=True)
class Click:
    """A request of somebody, or of nobody yet.

    Attributes:
        site: Where they are.
        request: What is asked.
        cookie: By which they are known, or will be.
        visitor: Who they are; None before they have logged in.
        actor: The same as whoever gives commands.
        form: What was filled in, by field; of a GET, its query.
    """

    site: "PageSite"
    request: HTTPRequest
    cookie: str
    visitor: PageVisitor | None
    actor: Actor | None
    form: Form = field(default_factory=dict)

    def field(self, name: str) -> str:
        """What was filled in first; empty for nothing."""
        return next(iter(self.form.get(name, ())), "")

    def may_still(self, scope: str) -> bool:
        """Whether whoever has clicked is logged in until now, and has this scope."""
        visitors, address = self.site.visitors, self.request.address
        visitor = visitors.known(self.cookie)
        return visitor is not None and scope in visitors.actor(visitor, address).scopes

    def page(self, template: str, *, status: int = 200, **values: object) -> HTTPResponse:
        """A page.

        Args:
            template: Its name.
            status: Of the answer.
            values: What it is filled with, beside what all pages have.
        """
        site, visitor = self.site, self.visitor
        messages = tuple[str, ...]()
        if visitor is not None and not _is_by_script(self.request):
            messages, visitor.messages = tuple(visitor.messages), []
        shown = {
            "root": site.root,
            "site": site.title,
            "static": site.static.url,
            "token": site.visitors.form_token(self.cookie),
            "theme": self.theme,
            "me": "" if visitor is None else visitor.account.bare,
            "messages": messages,
            "here": self.request.path + (self.request.query and f"?{self.request.query}"),
            "at": self.request.path,
            "host": self.request.host,
            "status": status,
            **site.frame(self),
            **values,
        }
        headers: Pairs = (("Content-Type", HTML), ("Cache-Control", "no-store"))
        if visitor is None:
            headers = (*headers, set_cookie(self.request, self.cookie))
        return HTTPResponse(status, site.templates.render(template, shown), headers, always=_GUARD)

    def away(self, path: str, *said: str, headers: Pairs = ()) -> HTTPResponse:
        """Lead somebody to another page of this server.

        Args:
            path: Its path, and its query.
            said: What it says first.
            headers: Beside those that lead there.
        """
        if self.visitor is not None:
            for sentence in said:
                self.visitor.tell(sentence)
        return HTTPResponse(303, b"", (("Location", path), *headers), always=_GUARD)

    @property
    def theme(self) -> str:
        """The colours that were chosen; empty for the browser's."""
        chosen = cookie_of(self.request, "theme")
        return chosen if chosen in THEMES else ""


PageHandler = Callable[[Click], Answer]


def _is_by_script(request: HTTPRequest) -> bool:
    """Whether a script of a page asks for what a page shows: nobody has clicked."""
    return request.method == "GET" and request.header("sec-fetch-dest") == "empty"


def _no_frame(click: Click) -> Mapping[str, object]:
    return {}


class PageSite:
    """Pages of one kind, such as the console: they are for whoever has logged in and may come.

    Nothing is changed but by POST, with an Origin that is ours, and by a form that was shown to the
    same browser (CN-3): a page itself has nothing to check.

    Args:
        visitors: Say who is there.
        root: The path above all pages, with a slash at its end.
        title: Of the site.
        site: The group of paths that it belongs to.
        may: Whether somebody may come.
        directory: Has the directories ``templates`` and ``static``.

    Attributes:
        frame: Gives what is around each page.
    """

    def __init__(
        self,
        visitors: Visitors,
        root: str,
        title: str,
        site: Site,
        may: Callable[[Actor], bool],
        directory: Path,
    ) -> None:
        self.visitors = visitors
        self.root = root
        self.title = title
        self.templates = Templates(directory / "templates")
        self.static = StaticFiles(f"{root}static/", directory / "static")
        self.frame: Callable[[Click], Mapping[str, object]] = _no_frame
        self._site: Site = site
        self._may = may

    # -- its paths --------------------------------------------------------------------------------

    def paths(self) -> Iterator[HTTPPath]:
        """Those that every site has: to log in and out, the theme, and files."""
        yield HTTPPath(
            path=self.root.rstrip("/"), access=anybody, handle=self._to_root, site=self._site
        )
        yield HTTPPath(
            path=self.static.root, access=anybody, handle=self.static.serve, site=self._site
        )
        yield self.path("login", self._log_in, ("GET", "POST"), public=True)
        yield self.path("link", self._come, ("GET", "POST"), public=True)
        yield self.path("logout", self._log_out, ("POST",))
        yield self.path("theme", self._choose_theme, ("POST",), public=True)

    def path(
        self,
        path: str,
        handle: PageHandler,
        methods: tuple[str, ...] = ("GET",),
        *,
        public: bool = False,
    ) -> HTTPPath:
        """The path of a page.

        Args:
            path: Below the root.
            handle: Makes the page.
            methods: ``GET``, ``POST``.
            public: Whether it is also for those who have not logged in.
        """
        return HTTPPath(
            path=self.root + path,
            access=from_here,
            handle=partial(self._answer, handle, public=public),
            methods=methods,
            body="small" if "POST" in methods else "none",
            site=self._site,
            refuse=self._refuse,
        )

    async def _answer(
        self, handle: PageHandler, request: HTTPRequest, *, public: bool
    ) -> HTTPResponse:
        cookie = cookie_of(request, cookie_name(request)) or token_urlsafe(32)
        visitor = (self.visitors.known if _is_by_script(request) else self.visitors.find)(cookie)
        actor = None if visitor is None else self.visitors.actor(visitor, request.address)
        form = _form_of(request)
        click = Click(self, request, cookie, visitor, actor, form)
        if request.method == "POST" and not self.visitors.is_form_of(cookie, click.field(TOKEN)):
            if visitor is None:
                return self._to_login(click)
            raise HTTPError(403, "Nothing was done: this form has expired. Load the page again.")
        if not public:
            if actor is None:
                return self._to_login(click)
            if not self._may(actor):
                return click.page("not_for_you.html", status=403)
        answer = handle(click)
        return answer if isinstance(answer, HTTPResponse) else await answer

    def _refuse(self, error: HTTPError) -> HTTPResponse:
        """A page that says what is wrong, and nothing else: it may be for anybody."""
        shown = {
            "root": self.root,
            "site": self.title,
            "static": self.static.url,
            "theme": "",
            "status": error.status,
            "sentence": str(error),
        }
        headers: Pairs = (("Content-Type", HTML), ("Cache-Control", "no-store"), *error.headers)
        body = self.templates.render("error.html", shown)
        return HTTPResponse(error.status, body, headers, always=_GUARD)

    # -- what every site has ----------------------------------------------------------------------

    def _to_login(self, click: Click) -> HTTPResponse:
        """Lead to the login, and back to where one was."""
        request = click.request
        here = request.path + (request.query and f"?{request.query}")
        after = f"?next={quote(here, safe='')}" if request.method == "GET" else ""
        return click.away(f"{self.root}login{after}")

    def _to_root(self, request: HTTPRequest) -> HTTPResponse:
        return HTTPResponse(303, b"", (("Location", self.root),))

    async def _log_in(self, click: Click) -> HTTPResponse:
        request, after = click.request, self.local(click.field("next"))
        if request.method == "GET":
            if click.visitor is not None:
                return click.away(after)
            return self._login_page(click, after)
        if not is_private(request):
            return self._login_page(click, after, status=403)
        name, password = click.field("account"), click.field("password")
        try:
            cookie = await self.visitors.log_in(name, password, request)
        except SASLError as error:
            said = _said(error)
            status = 429 if error.condition == "temporary-auth-failure" else 401
            return self._login_page(click, after, said, status=status)
        return click.away(after, headers=(set_cookie(request, cookie),))

    def _login_page(
        self, click: Click, after: str, said: str = "", status: int = 200
    ) -> HTTPResponse:
        return click.page(
            "login.html",
            status=status,
            after=after,
            said=said,
            account=click.field("account"),
            private=is_private(click.request),
            passwords=self.visitors.any_passwords,
            no_passwords=BY_LINK_ONLY,
        )

    async def _come(self, click: Click) -> HTTPResponse:
        """Let somebody in by a link, whose token stands behind ``#``; once."""
        if click.request.method == "GET":
            return click.page("link.html", said="", private=is_private(click.request))
        cookie = None
        if is_private(click.request):
            with suppress(SASLError):
                token = click.field("link").strip().rpartition("#")[2]
                cookie = await self.visitors.come_by(token)
        if cookie is None:
            said = "This link is invalid or has expired."
            return click.page("link.html", status=404, said=said, private=True)
        return click.away(self.root, headers=(set_cookie(click.request, cookie),))

    def _log_out(self, click: Click) -> HTTPResponse:
        self.visitors.log_out(click.cookie)
        if click.field("everywhere") and click.visitor is not None:
            self.visitors.log_out_everywhere(click.visitor.account)
        return click.away(f"{self.root}login", headers=(set_cookie(click.request, ""),))

    def _choose_theme(self, click: Click) -> HTTPResponse:
        theme = click.field("theme")
        value = theme if theme in THEMES else ""
        secure = "; Secure" if click.request.encrypted else ""
        cookie = f"theme={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=31536000{secure}"
        return click.away(self.local(click.field("next")), headers=(("Set-Cookie", cookie),))

    def local(self, path: str) -> str:
        """A path of this site: the given one, if it is one of a page."""
        parts = urlsplit(path)
        is_ours = path.startswith(self.root) and path.isprintable() and path.isascii()
        if parts.scheme or parts.netloc or "\\" in path or len(path) > MAX_NEXT_LENGTH:
            is_ours = False
        return path if is_ours and not path.startswith(f"{self.root}log") else self.root


BY_LINK_ONLY = (
    "Accounts of this domain have no passwords here: their clients log in with tokens of another "
    "service. To open this page, ask those who run the server for a link (xmppctl console link, "
    "with your address); it is valid for five minutes."
)
_SAID = {
    "temporary-auth-failure": "Too many attempts, or the server is busy: wait a little, then try "
    "again.",
    NO_PASSWORDS: BY_LINK_ONLY,
}


def _said(error: SASLError) -> str:
    if error.condition == "account-disabled":  # to somebody who has proved to be its owner
        return error.text or "This account is closed."
    return _SAID.get(error.condition, "Wrong address or password.")


def from_here(request: HTTPRequest) -> None:
    """Let pass what only looks, and what a page of ours has sent (CN-3).

    Raises:
        HTTPError: Another site sends it.
    """
    if request.method != "GET" and request.header("origin") != request.origin:
        raise HTTPError(403, "Nothing was done: the request came from another site.")


def _form_of(request: HTTPRequest) -> Form:
    """What was filled in.

    Raises:
        HTTPError: It is no form, or has too many fields.
    """
    text = request.query
    if request.method == "POST":
        if request.header("content-type").partition(";")[0].strip().lower() != FORM:
            raise HTTPError(415, f"Send the form as {FORM}.")
        text = request.body.decode("latin-1")
    return fields_of(text)


def fields_of(text: str) -> Form:
    """The fields of a form, or of a query.

    Raises:
        HTTPError: It is none, or has too many.
    """
    try:
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise HTTPError(400, "This form cannot be read.") from error


__all__ = [
    "FORM",
    "HTML",
    "POLICY",
    "TOKEN",
    "Click",
    "PageHandler",
    "PageSite",
    "fields_of",
    "from_here",
]
