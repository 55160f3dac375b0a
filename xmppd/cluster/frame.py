"""Frames: what one node sends to another at once.

A frame is a byte for its :class:`FrameKind`, its number, the number of the last frame of the other
direction that was handled, and a MessagePack array of entries. An entry that does not fit into one
frame goes in several.
"""

from collections.abc import Iterable
from struct import Struct

MAX_FRAME_BYTES = 1 << 20
MAX_FRAME_ENTRIES = 1_000
MAX_ENTRY_BYTES = 16 << 20

_HEADER = Struct("!BQQ")
HEADER_BYTES = _HEADER.size
MAX_BODY_BYTES = MAX_FRAME_BYTES - HEADER_BYTES

header = _HEADER.pack
"""The beginning of a frame: its kind, its number, and the number that it acknowledges."""

read_header = _HEADER.unpack_from


class FrameKind:
    """What a frame is for. Those from ``LINK`` on are between the ends of a link."""

    ENTRIES = 0
    PART = 1
    """The first bytes, or more, of entries that are too large for one frame."""
    ACKNOWLEDGEMENT = 2
    """Nothing else; it has no number."""
    LINK = 3


class BadFrame(Exception):
    """An error: what another node sends is no frame, or one that is out of order (CL-81)."""


def array(entries: Iterable[bytes], length: int) -> bytes:
    """Packed entries as an array in MessagePack."""
    head = bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2)
    return head + b"".join(entries)


__all__ = [
    "HEADER_BYTES",
    "MAX_BODY_BYTES",
    "MAX_ENTRY_BYTES",
    "MAX_FRAME_BYTES",
    "MAX_FRAME_ENTRIES",
    "BadFrame",
    "FrameKind",
    "array",
    "header",
    "read_header",
]
