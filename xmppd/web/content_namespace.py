"""The content namespace of elements that stand alone: each declares it itself (WS-2, WS-3)."""

import re

from xmppd.stanza import ns

_DECLARED = f" xmlns='{ns.CLIENT}'".encode()
_STREAM_DECLARED = f" xmlns:stream='{ns.STREAM}'".encode()

# Nearly all that is sent begins so, and is changed without a pattern.
_DECLARING = {name: b"%b%b " % (name, _DECLARED) for name in (b"<message", b"<presence", b"<iq")}
_name = re.compile(rb"<(?:message|presence|iq)(?=[ \t\r\n/>])").match
_stream_name = re.compile(rb"<stream:[a-z]+").match
# Attributes that declare no default namespace, each name once as far as it matters here.
_OTHERS = rb"(?:[ \t\r\n]+(?!xmlns[ \t\r\n=])[\w:.\-]+=(?:'[^'<]*'|\"[^\"<]*\")){0,64}"
declaring = re.compile(
    rb"(<(message|presence|iq)%b)[ \t\r\n]+xmlns=(?:'%b'|\"%b\")(?=%b[ \t\r\n]*/?>)"
    % (_OTHERS, ns.CLIENT.encode(), ns.CLIENT.encode(), _OTHERS)
).match
"""Finds the beginning of a stanza that declares its namespace, if its tag is ordinary: all up to
there, and the stanza's name.
"""


def inward(element: bytes) -> bytes:
    """The bytes by which an element that declares its namespace would have come over TCP.

    Only the start tag of a stanza is changed, and only if it is ordinary: whatever is not means the
    same as it is, and is read with more effort.
    """
    found = declaring(element)
    return element if found is None else found[1] + element[found.end() :]


def outward(element: bytes) -> bytes:
    """The bytes of an element of ours where no header has declared namespaces for it."""
    name, _, rest = element.partition(b" ")
    begin = _DECLARING.get(name)
    if begin is not None:
        return begin + rest
    found = _name(element)
    if found is not None:
        return element[: found.end()] + _DECLARED + element[found.end() :]
    found = _stream_name(element)
    if found is not None:
        return element[: found.end()] + _STREAM_DECLARED + element[found.end() :]
    return element


def undone(element: bytes) -> bytes:
    """The element that :func:`outward` was given."""
    found = _name(element)
    if found is None or not element.startswith(_DECLARED, found.end()):
        return element
    return element[: found.end()] + element[found.end() + len(_DECLARED) :]
