"""The target of a request: decoded once, so that routing and access look at the same (HT-2)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from xmppd.web.request import HTTPError

_NOT_DECODED = re.compile(rb"%(?![0-9a-fA-F]{2})|%2[fF]|%5[cC]|%00")
_REFUSED = re.compile(r"//|\\|[\x00-\x1f\x7f]|/\.\.?(?:/|$)")
_HOST = re.compile(rb"(?P<host>[^:\[\]/@?#\s]+|\[[0-9a-fA-F:.]+\])(?::(?P<port>\d{1,5}))?")


@dataclass(frozen=True, slots=True)
class RequestTarget:
    """A target in origin form (:rfc:`9112#section-3.2.1`).

    Attributes:
        path: Decoded; it begins with a slash, and no segment of it is ``.`` or ``..``.
        query: As it was sent, behind the question mark.
    """

    path: str
    query: str


@lru_cache(256)
def decoded(target: bytes) -> RequestTarget:
    """The target of a request.

    Raises:
        HTTPError: It could mean one thing to one reader and another to the next.
    """
    path, _, query = target.partition(b"?")
    if not path.startswith(b"/") or b"#" in target or not query.isascii():
        raise HTTPError(400, "The target must be a path that begins with a slash.")
    if _NOT_DECODED.search(path):
        raise HTTPError(400, "The path has a misplaced percent sign.")
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise HTTPError(400, "The path is not UTF-8.") from None
    if _REFUSED.search(text):
        raise HTTPError(400, "The path has dots, slashes or other characters that are not allowed.")
    return RequestTarget(text, query.decode())


@lru_cache(256)
def host_and_port(*values: bytes) -> tuple[str, str]:
    """The host, in small letters, and the port that the ``Host`` headers name.

    Raises:
        HTTPError: There is not exactly one, or it is none (HT-3).
    """
    found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
    if found is None:
        raise HTTPError(400, "Exactly one Host header is needed.")
    return found["host"].decode("latin-1").lower(), (found["port"] or b"").decode()
