"""Names and media types of files: what is shown of them, and what browsers may open."""

import re
import unicodedata
from urllib.parse import quote

MAX_NAME_BYTES = 200
MAX_TYPE_CHARACTERS = 255

SAFE = frozenset(
    (
        "image/jpeg", "image/png", "image/gif", "image/webp", "image/avif", "image/apng",
        "image/bmp", "image/heic", "image/heif", "image/jxl",
        "audio/aac", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/opus",
        "audio/wav", "audio/webm", "audio/x-m4a", "audio/x-wav",
        "video/mp4", "video/mpeg", "video/ogg", "video/quicktime", "video/webm",
        "video/x-matroska", "video/3gpp",
    )
)  # fmt: skip
"""What a browser shows and plays, and never runs (HU-7): SVG is not among them."""

ANYTHING = "application/octet-stream"

_WORD = r"[A-Za-z0-9!#$&^_.+-]+"
_TYPE = re.compile(rf"{_WORD}/{_WORD}(?:\s*;\s*{_WORD}=(?:{_WORD}|\"[^\"\\\x00-\x1f]*\"))*")
_UNSEEN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))


def clean_name(name: str) -> str:
    """A name as it is shown: without what nobody sees, of at most 200 bytes; its ending stays."""
    seen = "".join(c for c in name if unicodedata.category(c) not in _UNSEEN).strip()
    seen = re.split(r"[/\\]", seen)[-1].lstrip(".") or "file"
    if len(seen.encode()) <= MAX_NAME_BYTES:
        return seen
    stem, dot, ending = seen.rpartition(".")
    if not stem or len(ending) > 20:
        stem, dot, ending = seen, "", ""
    room = MAX_NAME_BYTES - len((dot + ending).encode())
    return stem.encode()[: max(room, 1)].decode(errors="ignore") + dot + ending


def is_media_type(text: str) -> bool:
    """Whether it is a media type, with parameters or without (:rfc:`9110#section-8.3.1`)."""
    return len(text) <= MAX_TYPE_CHARACTERS and _TYPE.fullmatch(text) is not None


def shown_type(type: str) -> str:
    """The type with which a file goes out."""
    plain = type.partition(";")[0].strip().lower()
    return plain if plain in SAFE else ANYTHING


def disposition(name: str, type: str) -> str:
    """The ``Content-Disposition`` of a file: only what is safe is opened in its place."""
    how = "inline" if shown_type(type) in SAFE else "attachment"
    return f"{how}; filename*=UTF-8''{quote(name, safe='')}"


__all__ = ["SAFE", "clean_name", "disposition", "is_media_type", "shown_type"]
