"""Removal of an address from the bytes of a stanza; all other bytes stay as they came.

Nothing here needs more than the standard library.
"""

import re

_attribute = {
    name: re.compile(
        rb"<[a-z]+(?:[ \t\r\n]+[^ \t\r\n=<>\"']+[ \t\r\n]*=[ \t\r\n]*(?:'[^']*'|\"[^\"]*\"))*?"
        rb"([ \t\r\n]+%b[ \t\r\n]*=[ \t\r\n]*(?:'[^']*'|\"[^\"]*\"))" % name
    ).match
    for name in (b"from", b"to")
}


def without_attribute(data: bytes, name: bytes) -> bytes | None:
    """A stanza's bytes without its ``from`` or ``to``.

    Returns:
        None if it has none, or if its name has a prefix or is not that of a stanza.
    """
    found = _attribute[name](data)
    return None if found is None else data[: found.start(1)] + data[found.end(1) :]
