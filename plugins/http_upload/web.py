"""UploadPath: files come by PUT and go out by GET, at one URL each."""

from dataclasses import dataclass
from urllib.parse import quote

from xmppd.store.errors import QuotaExceeded, StoreError
from xmppd.web.files import file_out
from xmppd.web.http_path import HTTPPath
from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse, Pairs

from .names import disposition, shown_type
from .slots import ID_BYTES, Slot, WrongToken
from .storage import Storage
from .uploads import AlreadyThere, Upload, Uploads, WrongSize

PATH = "/upload/"
BEARER = "Bearer "
SAFE_TO_OPEN: Pairs = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("X-Content-Type-Options", "nosniff"),
)
FOR_EVER = ("Cache-Control", "public, max-age=31536000, immutable")
"""What is at a URL never changes."""


def url_path(id: bytes, name: str) -> str:
    """The path of a file's URL."""
    return f"{PATH}{id.hex()}/{quote(name, safe='')}"


@dataclass(frozen=True)
class UploadPath:
    """Takes and gives files.

    Attributes:
        uploads: All of them.
    """

    uploads: Uploads

    def path(self) -> HTTPPath:
        """The path of all files; pages of any origin may use it, since clients in browsers do."""
        return HTTPPath(
            path=PATH,
            methods=("GET", "PUT"),
            access=self.check,
            handle=self.answer,
            body="stream",
            origins=("*",),
        )

    def check(self, request: HTTPRequest) -> None:
        """Let whoever has the URL read, and whoever has a slot upload."""
        _id(request)
        if request.method == "PUT":
            if self.uploads.storage is not None:
                raise HTTPError(403, "This is not an upload URL: ask for a slot.")
            self._slot(request)
            if request.header("content-range"):
                raise HTTPError(400, "A file is uploaded whole, without Content-Range.")

    async def answer(self, request: HTTPRequest) -> HTTPResponse:
        """The file, or that it was stored."""
        if request.method == "PUT":
            return await self._take(request)
        found = await self.uploads.find(_id(request))
        if found is None:
            raise HTTPError(404, "This file does not exist.")
        if self.uploads.storage is not None:
            return self._sent_to(self.uploads.storage, _id(request), found)
        return await file_out(
            request,
            found.path,
            self.uploads.run_in_thread,
            content_type=shown_type(found.type),
            headers=(
                ("Content-Disposition", disposition(found.name, found.type)),
                FOR_EVER,
                *SAFE_TO_OPEN,
            ),
        )

    def _sent_to(self, storage: Storage, id: bytes, found: Upload) -> HTTPResponse:
        """Where another service has it."""
        url = storage.read_url(id, found.name, found.type)
        if url is None:
            raise HTTPError(404, "This file does not exist.")
        return HTTPResponse(302, headers=(("Location", url), ("Cache-Control", "no-store")))

    def _slot(self, request: HTTPRequest) -> Slot:
        said = request.header("authorization")
        if not said.startswith(BEARER):
            raise HTTPError(403, "Upload with the Authorization header of your slot.")
        try:
            slot = self.uploads.signer.slot(said.removeprefix(BEARER), self.uploads.wall_clock())
        except WrongToken as error:
            raise HTTPError(403, f"The Authorization is invalid: {error}.") from None
        if slot.id != _id(request):
            raise HTTPError(403, "The Authorization is for another file.")
        return slot

    async def _take(self, request: HTTPRequest) -> HTTPResponse:
        slot = self._slot(request)
        try:
            await self.uploads.take(slot, request.stream)
        except AlreadyThere:
            raise HTTPError(409, "This file was already uploaded.") from None
        except QuotaExceeded as error:
            raise HTTPError(413, f"The server refuses the file: {error}.") from None
        except WrongSize as error:
            raise HTTPError(413 if error.is_larger else 400, f"{error}.".capitalize()) from None
        except StoreError:
            raise HTTPError(503, "This server cannot store anything at the moment.") from None
        except OSError:
            raise HTTPError(507, "This server could not write the file to its disk.") from None
        return HTTPResponse(201, headers=(("Location", url_path(slot.id, slot.name)),))


def _id(request: HTTPRequest) -> bytes:
    text = request.path.removeprefix(PATH).partition("/")[0]
    try:
        id = bytes.fromhex(text)
    except ValueError:
        id = b""
    if len(id) != ID_BYTES or id.hex() != text:
        raise HTTPError(404, "This file does not exist.")
    return id


__all__ = ["PATH", "UploadPath", "url_path"]
