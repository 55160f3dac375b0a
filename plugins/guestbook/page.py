"""Books on the web: pages of books that the settings open to everybody, who may sign them there."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import parse_qs

from xmppd.stanza import JID, StanzaError
from xmppd.stanza.date_time import date_time
from xmppd.web.http_path import HTTPPath
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse

from .book import Guestbook
from .entries import Entry
from .iq import PREFIX

PATH = "/guestbook/"
HTML = (
    ("Content-Type", "text/html; charset=utf-8"),
    ("Content-Security-Policy", "default-src 'none'; form-action 'self'; frame-ancestors 'none'"),
)


@dataclass(frozen=True)
class GuestbookPage:
    """Shows a book, and takes what visitors write; they sign as the service, having no address.

    Attributes:
        guestbook: All books.
    """

    guestbook: Guestbook

    def path(self) -> HTTPPath:
        """The page of each open book: ``/guestbook/romeo@example.org``."""
        return HTTPPath(
            path=PATH,
            methods=("GET", "POST"),
            access=self.check,
            handle=self.answer,
            body="small",
        )

    def check(self, request: HTTPRequest) -> None:
        """Let everybody come to an open book, and nobody to another: there is none, as it were."""
        if request.path.removeprefix(PATH) not in self.guestbook.settings.on_the_web:
            raise HTTPError(404, "There is no such guestbook.")
        if request.method == "POST" and request.header("origin") not in ("", request.origin):
            raise HTTPError(403, "Sign it on its own page.")

    async def answer(self, request: HTTPRequest) -> HTTPResponse:
        """The page; or the way back to it, once it is signed."""
        owner = JID.parse(request.path.removeprefix(PATH))
        if request.method == "GET":
            return HTTPResponse(200, _page(owner, await self.guestbook.page(owner)).encode(), HTML)
        try:
            words = parse_qs(request.body.decode())["words"][0]
            await self.guestbook.sign(owner, JID.of(None, PREFIX + owner.domain), words)
        except (KeyError, UnicodeDecodeError):
            raise HTTPError(400, "Write something.") from None
        except StanzaError as error:
            raise HTTPError(409, f"Your entry was refused: {error}.") from error
        return HTTPResponse(303, headers=(("Location", request.path),))


def _page(owner: JID, entries: Sequence[Entry]) -> str:
    title = f"Guestbook of {escape(owner.bare)}"
    shown = "".join(
        f"<li>{escape(entry.words)} <i>({escape(entry.guest)}, {date_time(entry.signed)})</i></li>"
        for entry in entries
    )
    return (
        f'<!DOCTYPE html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1>"
        f'<form method="post"><input name="words" required> <button>Sign</button></form>'
        f"<ul>{shown}</ul></html>"
    )


__all__ = ["PATH", "GuestbookPage"]
