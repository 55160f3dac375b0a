"""Storage elsewhere: clients upload to another service, by URLs that are signed here (HU-9)."""

import hmac
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError as Refused
from urllib.parse import quote
from urllib.request import Request, urlopen

from xmppd.auth.base import RunInThread
from xmppd.plugin.plugin_error import PluginError

from .aws_signature import Signer
from .names import disposition, shown_type
from .settings import UploadSettings
from .slots import SLOT_S, Slot

READ_S = 300
"""The time in which whoever was sent to an object has to begin to read it."""

PATIENCE_S = 10.0


class Storage(Protocol):
    """Another service, which has the bytes."""

    def put_url(self, slot: Slot) -> str:
        """Where a client uploads a file."""

    def get_url(self, slot: Slot) -> str | None:
        """Where everybody reads it; None if that is here, by :meth:`read_url`."""

    def read_url(self, id: bytes, name: str, type: str) -> str | None:
        """Where somebody who asks here is sent; None if nobody is."""

    async def remove(self, id: bytes) -> None:
        """Have a file removed.

        Raises:
            OSError: It was not.
        """


class ExternalShare:
    """A share service that has the same secret, and checks path, size and type of what it takes.

    The signature is what several of these services know as ``v2``.

    Args:
        url: Of the service.
        secret: Of both.
    """

    def __init__(self, url: str, secret: str) -> None:
        self._url = url.rstrip("/")
        self._secret = secret.encode()

    def get_url(self, slot: Slot) -> str | None:
        return f"{self._url}/{slot.id.hex()}/{quote(slot.name, safe='')}"

    def put_url(self, slot: Slot) -> str:
        said = (
            f"{slot.id.hex()}/{slot.name}\0{slot.size}\0{slot.type or 'application/octet-stream'}"
        )
        signature = hmac.digest(self._secret, said.encode(), "sha256").hex()
        return f"{self.get_url(slot)}?v2={signature}"

    def read_url(self, id: bytes, name: str, type: str) -> str | None:
        return None

    async def remove(self, id: bytes) -> None:
        """Do nothing: it has a way of its own to forget what is old."""


class S3Bucket:
    """A bucket of S3, or of what speaks as it does.

    Args:
        url: Of the bucket, by a path or a host of its own.
        signer: Has its key.
        wall_clock: Tells the time in seconds since 1970.
        run_in_thread: Waits for the bucket.
    """

    def __init__(
        self,
        url: str,
        signer: Signer,
        wall_clock: Callable[[], float],
        run_in_thread: RunInThread,
    ) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._wall_clock = wall_clock
        self._run_in_thread = run_in_thread

    def put_url(self, slot: Slot) -> str:
        headers = {"Content-Length": str(slot.size)}
        if slot.type:
            headers["Content-Type"] = slot.type
        return self._signed("PUT", slot.id, int(SLOT_S), headers=headers)

    def get_url(self, slot: Slot) -> str | None:
        return None

    def read_url(self, id: bytes, name: str, type: str) -> str | None:
        query = {
            "response-content-disposition": disposition(name, type),
            "response-content-type": shown_type(type),
        }
        return self._signed("GET", id, READ_S, query=query)

    async def remove(self, id: bytes) -> None:
        url = self._signed("DELETE", id, READ_S)
        await self._run_in_thread(lambda: _delete(url))

    def _signed(self, method: str, id: bytes, lifetime_s: int, **more: dict[str, str]) -> str:
        url = f"{self._url}/{id.hex()}"
        return self._signer.url(method, url, self._wall_clock(), lifetime_s, **more)


def _delete(url: str) -> None:
    request = Request(url, method="DELETE")  # noqa: S310  # the administrator's own, https or http
    try:
        urlopen(request, timeout=PATIENCE_S).close()  # noqa: S310
    except Refused as error:
        if error.code != 404:
            raise
    except HTTPException as error:
        raise OSError(f"the bucket does not speak HTTP: {error!r}") from error


def storage_of(
    settings: UploadSettings, wall_clock: Callable[[], float], run_in_thread: RunInThread
) -> Storage | None:
    """The other service that the configuration names; None if files are here.

    Raises:
        PluginError: The file of its secret cannot be read.
    """
    if settings.external_url:
        return ExternalShare(settings.external_url, _secret(settings.secret_file))
    if settings.s3_url:
        signer = Signer(settings.s3_region, settings.s3_key, _secret(settings.secret_file))
        return S3Bucket(settings.s3_url, signer, wall_clock, run_in_thread)
    return None


def _secret(path: str) -> str:
    try:
        secret = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise PluginError(f"http_upload.secret_file {path} cannot be read ({error})") from error
    if not secret:
        raise PluginError(f"{path} is empty; write the secret of the storage into it")
    return secret


__all__ = ["ExternalShare", "S3Bucket", "Storage", "storage_of"]
