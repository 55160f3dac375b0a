"""WebClientPage: a client in the browser, with what it has to know of this server (WC-2)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html import escape
from json import dumps
from pathlib import Path
from urllib.parse import urlsplit

from xmppd.web.files import Runner
from xmppd.web.http_path import HTTPPath, HTTPPaths, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse, Pairs

from .files import ClientFiles

ROOT = "/client/"
OWN = "xmppd/"
"""Before the names of our files, which no client has."""

CONVERSE = "converse.min.js"


@dataclass(frozen=True)
class WebClientPage:
    """Serves a client: a page of its own, or ours for converse.js, which brings none.

    Attributes:
        directory: Its files.
        domains: Ours.
        base_url: How the world reaches pages of a domain; None if it does not say.
        run_in_thread: Reads files.
    """

    directory: Path
    domains: tuple[str, ...]
    base_url: Callable[[str], str | None]
    run_in_thread: Runner

    def paths(self) -> Iterator[HTTPPath]:
        """All below ``/client/``, and what leads there.

        Raises:
            ValueError: There are no files.
        """
        files = ClientFiles.of(self.directory, self.run_in_thread, ())
        own = ClientFiles.of(Path(__file__).parent / "static", self.run_in_thread, ())

        async def serve(request: HTTPRequest) -> HTTPResponse:
            name = request.path.removeprefix(ROOT)
            if name.startswith(OWN):
                return await own.serve(request, name.removeprefix(OWN))
            if not name and CONVERSE in files.files and "index.html" not in files.files:
                return self._page(request)
            answer = await files.serve(request, name or "index.html")
            if not name or name.endswith(".html"):
                headers = (*answer.headers, *self._guard(request))
                return HTTPResponse(answer.status, answer.body, headers)
            return answer

        yield HTTPPath(path=ROOT, access=anybody, handle=serve)
        yield HTTPPath(path=ROOT.rstrip("/"), access=anybody, handle=_lead)

    def _page(self, request: HTTPRequest) -> HTTPResponse:
        """The page of converse.js, which is told the ways to this server and asks nobody else."""
        base = self.base_url(request.host) or request.origin
        settings = {
            "websocket_url": f"{_socket(base)}/ws",
            "bosh_service_url": f"{base}/bosh",
            "default_domain": self.domains[0],
            **({"locked_domain": self.domains[0]} if len(self.domains) == 1 else {}),
            "assets_path": ROOT,
        }
        text = _PAGE.format(root=ROOT, own=ROOT + OWN, settings=escape(dumps(settings)))
        kind = ("Content-Type", "text/html; charset=utf-8")
        headers = (kind, ("Cache-Control", "no-cache"), *self._guard(request))
        return HTTPResponse(200, text.encode(), headers)

    def _guard(self, request: HTTPRequest) -> Pairs:
        """What the page may do: nothing at other hosts, so that nobody there learns who looks."""
        base = self.base_url(request.host) or request.origin
        there = f"'self' {base} {_socket(base)}"
        policy = (
            f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src {there}; "
            f"style-src 'self' 'unsafe-inline'; img-src {there} data: blob:; "
            f"media-src {there} blob:; "
            "font-src 'self' data:; worker-src 'self' blob:; manifest-src 'self'; "
            "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        return (("Content-Security-Policy", policy), ("Referrer-Policy", "no-referrer"))


_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Chat</title>'
    '<link rel="stylesheet" href="{root}converse.min.css">'
    '<link rel="stylesheet" href="{own}page.css">'
    '<script type="module" src="{own}start.js"></script></head>'
    '<body data-settings="{settings}"><noscript>This client needs JavaScript; others are at '
    "xmpp.org.</noscript></body></html>"
)


def _socket(base: str) -> str:
    parts = urlsplit(base)
    return f"{'wss' if parts.scheme == 'https' else 'ws'}://{parts.netloc}"


def address_of(paths: HTTPPaths) -> str:
    """Where the client is, for a page that leads there; empty if there is none."""
    found = paths.find(ROOT)
    return ROOT if found is not None and found.part.path == ROOT else ""


def _lead(request: HTTPRequest) -> HTTPResponse:
    return HTTPResponse(302, b"", (("Location", ROOT),))


__all__ = ["ROOT", "WebClientPage", "address_of"]
