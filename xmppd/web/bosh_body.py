"""The ``<body/>`` of BOSH (:xep:`0124`): its attributes read, and written."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pyexpat import ExpatError, ParserCreate

from xmppd.stanza import ns
from xmppd.stream.framing import written

HTTPBIND = "http://jabber.org/protocol/httpbind"
XBOSH = "urn:xmpp:xbosh"
MAX_TAG_BYTES = 8_192

_BEGIN = (  # each as usual
    f"<body xmlns='{HTTPBIND}' xmlns:stream='{ns.STREAM}' xmlns:xmpp='{XBOSH}'".encode()
)
_END = b"</body>"
_SPACE = b" \t\r\n"
# As nearly all begin: three attributes, which are these, each once, if all three are found.
_plain = re.compile(
    rb"<body(?: (?:(xmlns)=(['\"])%b\2|rid=(['\"])([0-9]{1,16})\3|sid=(['\"])([\w.\-]+)\5)){3}"
    rb" ?(/?)>" % HTTPBIND.encode()
).match
_ordinary = re.compile(
    rb"<body((?:[ \t\r\n]+[\w:.\-]+=(?:'[^'<>&]*'|\"[^\"<>&]*\")){1,40})[ \t\r\n]*(/?)>"
).match
_attributes = re.compile(rb"([\w:.\-]+)=(?:'([^']*)'|\"([^\"]*)\")").findall
_declaration = re.compile(
    rb"<\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*(['\"])1\.[0-9]+\1"
    rb"(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*(['\"])(?i:utf-8)\2)?"
    rb"(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*(['\"])(?:yes|no)\3)?[ \t\r\n]*\?>"
).match
_any_tag = re.compile(rb"<[^<>\"']*(?:(?:\"[^\"<]*\"|'[^'<]*')[^<>\"']*){0,64}>").match
_PREFIXES = {"xmpp": XBOSH, "xml": ns.XML}


class BadBody(Exception):
    """An error: this is no body."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body that came.

    Attributes:
        attributes: By name; ``xmpp:restart`` and ``xml:lang`` with these prefixes.
        content: The bytes of its elements, not looked at.
    """

    attributes: Mapping[str, str]
    content: bytes


def read_body(data: bytes) -> Body:
    """A body in bytes (BO-1).

    It is a document of XML, so it may have a declaration (:xep:`0124`, section 6).

    Raises:
        BadBody: It is none.
    """
    data = data.strip(_SPACE)
    if declared := _declaration(data):
        data = data[declared.end() :].lstrip(_SPACE)
    plain = _plain(data)
    if plain is not None and plain[1] and plain[4] and plain[6]:
        attributes = {"rid": plain[4].decode(), "sid": plain[6].decode()}
        end, empty = plain.end(), bool(plain[7])
    else:
        attributes, end, empty = _start_tag(data)
    if empty:
        if end != len(data):
            raise BadBody("something follows the <body/>")
        return Body(attributes, b"")
    if not data.endswith(_END):
        raise BadBody("the <body/> is not closed")
    return Body(attributes, data[end : -len(_END)])


def _start_tag(data: bytes) -> tuple[dict[str, str], int, bool]:
    """The attributes of a start tag, its end, and whether the body ends there as well."""
    found = _ordinary(data)
    attributes = None if found is None else _ordinary_attributes(found[1])
    if found is not None and attributes is not None:
        return attributes, found.end(), bool(found[2])
    tag = _any_tag(data)
    if tag is None or tag.end() > MAX_TAG_BYTES:
        raise BadBody("the <body/> is missing")
    empty = tag[0].endswith(b"/>")
    return _parsed(tag[0] if empty else tag[0][:-1] + b"/>"), tag.end(), empty


def _ordinary_attributes(text: bytes) -> dict[str, str] | None:
    """The attributes of an ordinary tag; None if it declares other prefixes than is usual."""
    pairs = _attributes(text)
    try:
        found = {name.decode(): (one or other).decode() for name, one, other in pairs}
    except UnicodeDecodeError:
        return None
    if len(found) != len(pairs) or found.pop("xmlns", "") != HTTPBIND:
        return None
    if found.pop("xmlns:xmpp", XBOSH) != XBOSH or found.pop("xmlns:stream", ns.STREAM) != ns.STREAM:
        return None
    if any(":" in name and name.partition(":")[0] not in _PREFIXES for name in found):
        return None
    return found


def _parsed(tag: bytes) -> dict[str, str]:
    """The attributes of any tag, by expat."""
    begun: list[tuple[str, dict[str, str]]] = []
    parser = ParserCreate("UTF-8", "}")
    parser.StartElementHandler = lambda name, attributes: begun.append((name, attributes))
    try:
        parser.Parse(tag, True)
    except ExpatError as error:
        raise BadBody(str(error)) from None
    if not begun or begun[0][0] != f"{HTTPBIND}}}body":
        raise BadBody("the element is not a <body/>")
    prefixes = {uri: prefix for prefix, uri in _PREFIXES.items()}
    found = {}
    for name, value in begun[0][1].items():
        uri, _, local = name.rpartition("}")
        if not uri:
            found[local] = value
        elif uri in prefixes:
            found[f"{prefixes[uri]}:{local}"] = value
    return found


def write_body(attributes: Mapping[str, str | None], content: bytes = b"") -> bytes:
    """The bytes of a body."""
    said = written(attributes).encode() if attributes else b""
    if not content:
        return b"%b%b/>" % (_BEGIN, said)
    return b"%b%b>%b</body>" % (_BEGIN, said, content)
