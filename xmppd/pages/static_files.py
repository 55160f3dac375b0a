"""StaticFiles: style sheets, scripts and pictures of pages: a few, which are kept in memory."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse

HERE = Path(__file__).parent / "static"
TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class StaticFiles:
    """The files of a site, and those that all sites have.

    Args:
        root: The path above them, with a slash at its end.
        directories: Where they are; others than those that are there now are never served.
    """

    def __init__(self, root: str, *directories: Path) -> None:
        self.root = root
        self._files = {
            file.name: (TYPES[file.suffix], *_content(file))
            for directory in (HERE, *directories)
            for file in sorted(directory.iterdir())
            if file.suffix in TYPES
        }

    def url(self, name: str) -> str:
        """Where a file is; another content has another address, so that browsers may keep it."""
        return f"{self.root}{name}?{self._files[name][2]}"

    def has(self, *names: str) -> bool:
        """Whether there are all of some files."""
        return all(name in self._files for name in names)

    def serve(self, request: HTTPRequest) -> HTTPResponse:
        """A file.

        Raises:
            HTTPError: There is none of this name.
        """
        found = self._files.get(request.path.removeprefix(self.root))
        if found is None:
            raise HTTPError(404, "Not found.")
        kind, content, version = found
        kept = "public, max-age=31536000, immutable" if request.query == version else "no-cache"
        headers = (
            ("Content-Type", kind),
            ("Cache-Control", kept),
            ("Content-Security-Policy", "default-src 'none'"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        )
        return HTTPResponse(200, content, headers)


@cache
def _content(file: Path) -> tuple[bytes, str]:
    content = file.read_bytes()
    return content, sha256(content).hexdigest()[:16]


__all__ = ["StaticFiles"]
