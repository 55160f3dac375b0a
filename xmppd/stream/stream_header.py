"""The stream header: read apart from the stanzas, and more strictly.

It is the only place where XML allows an encoding, a DOCTYPE and with it entities, so it is parsed
by itself and its attributes are carried over; stanzas are parsed behind a header of our own making,
where none of this can occur.
"""

from dataclasses import dataclass
from functools import lru_cache
from pyexpat import ExpatError, ParserCreate
from secrets import token_hex
from xml.sax.saxutils import quoteattr

from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stream.element_parser import UNDEFINED_ENTITY
from xmppd.stream.xml_scanner import ParserLimits, TagScanner, too_much

MAX_KEPT_HEADERS = 256
MAX_STREAM_TAG_BYTES = 8192
"""Of the tags that begin and end a stream; those inside are limited as stanzas are."""

_TLS_HANDSHAKE = b"\x16"
WHITE_SPACE = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_DECLARATION = b"<?xml"
_ROOT = f"ὰ{token_hex(16)}"
"""The name of the element around those of pooled parsers. No peer can close it, since none knows
it, and no element that is cut out of the bytes unread begins with such a letter."""

_UNBOUND_PREFIX, _UNDECLARING_PREFIX, _RESERVED_XML, _RESERVED_XMLNS = 27, 28, 38, 39
_RESERVED_NAMESPACE = 40
_CONDITIONS = {
    UNDEFINED_ENTITY: StreamCondition.RESTRICTED_XML,
    _UNBOUND_PREFIX: StreamCondition.BAD_NAMESPACE_PREFIX,
    _UNDECLARING_PREFIX: StreamCondition.BAD_NAMESPACE_PREFIX,
    _RESERVED_XML: StreamCondition.BAD_NAMESPACE_PREFIX,
    _RESERVED_XMLNS: StreamCondition.BAD_NAMESPACE_PREFIX,
    _RESERVED_NAMESPACE: StreamCondition.INVALID_NAMESPACE,
}


@dataclass(frozen=True, slots=True)
class StreamOpened:
    """A stream header, which is well-formed. Whether it suits is checked by the StanzaHandler.

    Attributes:
        tag: ``{namespace}name``, mostly ``{http://etherx.jabber.org/streams}stream``.
        namespace: The default one; empty if there is none.
        attributes: Without declarations; ``{namespace}name`` for those with a prefix.
        prefixes: The namespaces it declares, by prefix.

    Spec: :rfc:`6120#section-4.7`
    """

    tag: str
    namespace: str
    attributes: dict[str, str]
    prefixes: dict[str, str]


@dataclass(frozen=True, slots=True)
class HeaderFound:
    """A stream header as a parser needs it.

    Attributes:
        opened: Its content.
        name: As written, prefix included: it closes the stream.
        end: The position behind it.
    """

    opened: StreamOpened
    name: bytes
    end: int


class HeaderReader:
    """Reads one stream header from bytes that may be torn anywhere."""

    __slots__ = ("_tag",)

    def __init__(self, limits: ParserLimits) -> None:
        self._tag = TagScanner(limits.max_attributes)

    def read(self, data: bytes) -> HeaderFound | None:
        """The header at the beginning of ``data``; None while some of it is missing.

        Args:
            data: Without white space in front; each time the same, and more.

        Raises:
            StreamError: RESTRICTED_XML for a DOCTYPE, comment or processing instruction,
                UNSUPPORTED_ENCODING for anything but UTF-8, POLICY_VIOLATION if it is too long,
                else the error in its XML.
        """
        begin = self._prolog(data)
        if begin is None or len(data) < begin + 2:
            check_stream_tag(len(data))
            return None
        if data[begin : begin + 1] != b"<" or data[begin + 1 : begin + 2] == b"/":
            raise StreamError(StreamCondition.NOT_WELL_FORMED, "no stream header")
        if data[begin + 1 : begin + 2] in (b"!", b"?"):
            raise StreamError(StreamCondition.RESTRICTED_XML, "something before the stream header")
        end = self._tag.find_end(data, begin)
        check_stream_tag(len(data) if end < 0 else end)
        if end < 0:
            return None
        return _parsed(data[:begin], data[begin:end])

    def _prolog(self, data: bytes) -> int | None:
        """The position of the tag, behind a byte order mark and an XML declaration."""
        if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
            raise StreamError(StreamCondition.UNSUPPORTED_ENCODING, "only UTF-8 is supported")
        if data[:1] == _TLS_HANDSHAKE:
            raise StreamError(
                StreamCondition.NOT_WELL_FORMED,
                "TLS without STARTTLS: this port expects <starttls/> first",
            )
        if _BYTE_ORDER_MARK.startswith(data[:3]):
            if len(data) < 3:
                return None
            begin = _behind_space(data, 3)
        else:
            begin = 0
        head = data[begin : begin + len(_DECLARATION)]
        if head == _DECLARATION and data[begin + 5 : begin + 6] in (b"", b" ", b"\t", b"\r", b"\n"):
            end = data.find(b"?>", begin)
            return None if end < 0 else _behind_space(data, end + 2)
        if len(head) > 1 and head != _DECLARATION and _DECLARATION.startswith(head):
            return None
        return begin


def check_stream_tag(size_bytes: int) -> None:
    """Refuse a tag that begins or ends a stream, or a part of one, if it is too long.

    Raises:
        StreamError: POLICY_VIOLATION.
    """
    if size_bytes > MAX_STREAM_TAG_BYTES:
        raise too_much("too many bytes where a stream begins or ends")


@lru_cache(MAX_KEPT_HEADERS)
def _parsed(prolog: bytes, tag: bytes) -> HeaderFound:
    """The header in these bytes, kept since clients of one kind send the same again and again."""
    return _Parse(prolog, tag).header(len(prolog) + len(tag))


def _behind_space(data: bytes, begin: int) -> int:
    return len(data) - len(data[begin:].lstrip(WHITE_SPACE))


class _Parse:
    """A parse of a header that is complete, so that no token can be torn."""

    def __init__(self, prolog: bytes, tag: bytes) -> None:
        self._tag = tag
        self._name = ""
        self._attributes: dict[str, str] = {}
        self._namespaces: dict[str | None, str] = {}
        parser = ParserCreate("UTF-8", "}")
        parser.XmlDeclHandler = self._declaration
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartElementHandler = self._start
        try:
            parser.Parse(prolog.removeprefix(_BYTE_ORDER_MARK).strip(WHITE_SPACE) + tag)
        except ExpatError as error:
            condition = _CONDITIONS.get(error.code, StreamCondition.NOT_WELL_FORMED)
            raise StreamError(condition, str(error)) from None

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if version != "1.0":
            raise StreamError(StreamCondition.NOT_WELL_FORMED, "only XML 1.0 is supported")
        if encoding is not None and encoding.upper() != "UTF-8":
            raise StreamError(StreamCondition.UNSUPPORTED_ENCODING, "only UTF-8 is supported")

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        self._namespaces[prefix] = uri or ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._name = name
        self._attributes = attributes

    def header(self, end: int) -> HeaderFound:
        """The header, if it leaves the stream open."""
        if self._tag.endswith(b"/>"):
            raise StreamError(
                StreamCondition.BAD_FORMAT, "the stream header closes the stream at once"
            )
        prefixes = {prefix: uri for prefix, uri in self._namespaces.items() if prefix is not None}
        opened = StreamOpened(
            tag=_qualified(self._name),
            namespace=self._namespaces.get(None, ""),
            attributes={_qualified(name): value for name, value in self._attributes.items()},
            prefixes=prefixes,
        )
        name = self._tag[1:].split(None, 1)[0].rstrip(b">")
        return HeaderFound(opened, name, end)


def _qualified(name: str) -> str:
    return "{" + name if "}" in name else name


def canonical(prefixes: dict[str, str], default: str = "") -> bytes:
    """A stream header that declares these namespaces and nothing else, always in one order."""
    declarations = [f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in sorted(prefixes.items())]
    if default:
        declarations.append(f" xmlns={quoteattr(default)}")
    return f"<{_ROOT}{''.join(declarations)}>".encode()
