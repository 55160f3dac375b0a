"""Files: one goes out whole or in part, read in a thread, a piece ahead (HT-13)."""

import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from xmppd.web.request import HTTPError, HTTPRequest, HTTPResponse, Pairs, Pieces

T = TypeVar("T")
PIECE_BYTES = 262_144

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class Runner(Protocol):
    """Runs a slow function beside the reactor."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]:
        """The result of it."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a file.

    Attributes:
        begin: The first byte.
        end: The first one behind it.
    """

    begin: int
    end: int


async def file_out(
    request: HTTPRequest,
    path: Path,
    run_in_thread: Runner,
    *,
    content_type: str,
    headers: Pairs = (),
) -> HTTPResponse:
    """The answer with a file: the whole, the part that was asked for, or nothing if the client has
    it already (:rfc:`9110#section-13`, :rfc:`9110#section-14`).

    Args:
        request: A GET.
        path: The file.
        run_in_thread: Runs what has to do with the disk.
        content_type: Of the file.
        headers: Further headers of a 200 and a 206.

    Raises:
        HTTPError: There is no such file, or nothing in it where the range is.
    """
    try:
        file, status = await run_in_thread(partial(_opened, path))
    except OSError:
        raise HTTPError(404, "Not found.") from None
    try:
        size = status.st_size
        etag = f'"{status.st_ino:x}-{size:x}-{status.st_mtime_ns:x}"'
        known: Pairs = (("ETag", etag), ("Accept-Ranges", "bytes"), *headers)
        if _matches(request.header("if-none-match"), etag):
            file.close()
            return HTTPResponse(304, b"", known)
        span = _span(request, etag, size)
    except BaseException:
        file.close()
        raise
    told: Pairs = (("Content-Type", content_type), *known)
    if span is None:
        span, code = Span(0, size), 200
    else:
        code = 206
        told = (*told, ("Content-Range", f"bytes {span.begin}-{span.end - 1}/{size}"))
    pieces = _pieces(file, span, run_in_thread)
    return HTTPResponse(code, Pieces(pieces, span.end - span.begin, file.close), told)


def _opened(path: Path) -> tuple[BinaryIO, os.stat_result]:
    file = path.open("rb")
    return file, os.fstat(file.fileno())


async def _pieces(file: BinaryIO, span: Span, run_in_thread: Runner) -> AsyncIterator[bytes]:
    at = span.begin
    while at < span.end:
        piece = await run_in_thread(partial(_read, file, at, min(PIECE_BYTES, span.end - at)))
        if not piece:
            return  # it was cut meanwhile; who sends it notices
        at += len(piece)
        yield piece


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _matches(header: str, etag: str) -> bool:
    tags = (tag.strip().removeprefix("W/") for tag in header.split(","))
    return any(tag in (etag, "*") for tag in tags)


def _span(request: HTTPRequest, etag: str, size: int) -> Span | None:
    """The part that was asked for; None for the whole: also if several were, or if what the client
    has of it is of another file.
    """
    found = _RANGE.fullmatch(request.header("range").replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if request.header("if-range") not in ("", etag):
        return None
    if found[1]:
        begin, end = int(found[1]), min(int(found[2] or size) + 1, size)
    else:
        begin, end = max(0, size - int(found[2])), size
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return None
    if begin >= end:
        raise _NoSuchPart(size)
    return Span(begin, end)


class _NoSuchPart(HTTPError):
    """An error: the file is shorter than the range."""

    def __init__(self, size: int) -> None:
        headers = (("Content-Range", f"bytes */{size}"),)
        super().__init__(416, f"This file has {size} bytes.", headers)


__all__ = ["PIECE_BYTES", "Runner", "file_out"]
