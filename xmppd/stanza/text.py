"""Text written as XML. Nothing here needs more than the standard library."""

import re

_NO_CHARACTERS = dict.fromkeys((*range(0x20), 0xFFFE, 0xFFFF), "\ufffd")
"""The characters that XML 1.0 forbids; white space is among them, and is taken out below."""
TEXT_ESCAPES = _NO_CHARACTERS | str.maketrans(
    {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\t": "\t", "\n": "\n", "\r": "&#13;"}
)
"""For text between tags, which keeps its white space."""
_ESCAPES = TEXT_ESCAPES | str.maketrans({"'": "&apos;", '"': "&quot;", "\t": "&#9;", "\n": "&#10;"})
find_unwritable = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]").search
"""Finds a character in a text that XML 1.0 forbids."""


def escape(text: str) -> str:
    """Text as it stands in an element or an attribute value, and is read as the same again.

    White space is written as references, which is what keeps it in an attribute (XML 1.0, §3.3.3);
    a character that XML forbids becomes U+FFFD.
    """
    return text.translate(_ESCAPES)
