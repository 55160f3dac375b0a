"""ClientFiles: the files of a client, those that there were at the start and no others."""

import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from xmppd.web.files import Runner, file_out
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse, Pairs

MAX_FILES = 10_000
PACKAGE = "xmppd_web_client"
_TYPES: Mapping[str, str] = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}
_ANY = "application/octet-stream"


def installed() -> Path | None:
    """The files of the package, if it is installed."""
    found = find_spec(PACKAGE)
    places = found.submodule_search_locations if found is not None else None
    return Path(next(iter(places))) / "files" if places else None


@dataclass(frozen=True)
class ClientFiles:
    """The files of a client.

    Attributes:
        files: By their path below the directory: whatever else is asked for does not exist, however
            it is written.
        run_in_thread: Reads them.
        headers: Of every answer.
    """

    files: Mapping[str, Path]
    run_in_thread: Runner
    headers: Pairs

    @classmethod
    def of(cls, directory: Path, run_in_thread: Runner, headers: Pairs) -> "ClientFiles":
        """Those of a directory.

        Raises:
            ValueError: There are none, or too many to be a client.
        """
        files = dict(_below(directory))
        if not files:
            raise ValueError(f"{directory} has no files")
        return cls(files, run_in_thread, headers)

    async def serve(self, request: HTTPRequest, name: str) -> HTTPResponse:
        """A file, compressed beforehand if it is and the browser takes it so.

        Raises:
            HTTPError: There is none of this name.
        """
        file = self.files.get(name)
        if file is None:
            raise HTTPError(404, "Not found.")
        kind = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or _ANY
        headers: Pairs = (("Cache-Control", "no-cache"), ("Vary", "Accept-Encoding"), *self.headers)
        packed = self.files.get(f"{name}.gz")
        if packed is not None and "gzip" in request.header("accept-encoding"):
            file, headers = packed, (("Content-Encoding", "gzip"), *headers)
        return await file_out(request, file, self.run_in_thread, content_type=kind, headers=headers)


def _below(directory: Path) -> Iterator[tuple[str, Path]]:
    """All files of a directory, by their path; links out of it are left alone."""
    root = directory.resolve()
    for count, file in enumerate(sorted(root.rglob("*"))):
        if count > MAX_FILES:
            raise ValueError(f"{directory} has more than {MAX_FILES} files")
        if file.is_file() and file.resolve().is_relative_to(root):
            yield file.relative_to(root).as_posix(), file


__all__ = ["ClientFiles", "installed"]
