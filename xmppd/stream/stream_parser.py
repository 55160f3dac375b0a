"""StreamParser: bytes of one stream in, its header, stanzas and end out. No socket.

A stanza ends with its start tag if that says ``/>``, else with a ``</name>``: the first one, if it
holds no element of its own name and nothing in which tags are no tags. So the end is proposed by
looking at bytes, expat is given exactly those, and what it accepts *is* one element, whose bytes
may be handed on as they came. Whatever is less ordinary, a torn stanza most of all, is cut by an
:class:`~xmppd.stream.xml_scanner.ElementScanner` instead.
"""

import re
from dataclasses import dataclass
from xml.etree.ElementTree import ParseError

from xmppd.stanza import ns
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stream.content import Content, Received
from xmppd.stream.element_parser import check_utf8, stream_error
from xmppd.stream.stream_header import WHITE_SPACE, HeaderReader, StreamOpened, check_stream_tag
from xmppd.stream.xml_scanner import ElementScanner, ParserLimits, TagScanner

__all__ = ["ParserLimits", "Received", "StreamClosed", "StreamOpened", "StreamParser"]

MAX_READ_AHEAD_BYTES = 256 << 10
_BANG, _QUESTION = b"!?"

# No possessive quantifiers: for groups they match too much in Python before 3.11.5 (gh-106052).
_start = re.compile(rb"([ \t\r\n]*)<([\w:.\-]+)[ \t\r\n/>]").match
_empty_element = re.compile(rb"<[^<>\"'/]+(?:(?:\"[^\"<]*\"|'[^'<]*')[^<>\"'/]*){0,64}/>").match


@dataclass(frozen=True, slots=True)
class StreamClosed:
    """The event that the peer has closed its stream (:rfc:`6120#section-4.4`)."""


class StreamParser:
    """The events of one stream, each read when it is asked for.

    Bytes behind the event returned are not looked at, so that a stream may be restarted, or TLS
    begun, between two of them.

    Args:
        limits: Of what the peer may send.
        namespace: Of its stanzas, whether the header declares it or they do.
    """

    __slots__ = (
        "_at",
        "_closing",
        "_closing_name",
        "_content",
        "_data",
        "_deaf",
        "_header",
        "_limits",
        "_namespace",
        "_ordinary_bytes",
        "_partial",
    )

    def __init__(self, limits: ParserLimits, namespace: str = ns.CLIENT) -> None:
        self._namespace = namespace
        self._data = b""
        self._at = 0
        self._deaf = False
        self._partial: _PartialElement | None = None
        self.limits = limits
        self.restart()

    @property
    def limits(self) -> ParserLimits:
        """The limits of what the peer may send; new ones hold from the next stanza on."""
        return self._limits

    @limits.setter
    def limits(self, limits: ParserLimits) -> None:
        self._limits = limits
        # A level of depth takes "<a></a>", an attribute " a=''": so few bytes hold no more of them.
        self._ordinary_bytes = min(
            7 * limits.max_depth,
            6 * limits.max_attributes,
            limits.max_stanza_bytes,
        )

    @property
    def unread(self) -> bool:
        """Whether there are bytes behind the events returned so far, white space excepted."""
        return self._partial is not None or bool(self._data[self._at :].strip(WHITE_SPACE))

    def restart(self) -> None:
        """Expect a new stream header in the bytes not yet read (:rfc:`6120#section-4.3.3`)."""
        if self._partial is not None:
            self._data = bytes(self._partial.data) + self._data
            self._partial = None
        self._content: Content | None = None
        self._closing_name = b""
        self._header = HeaderReader(self._limits)
        self._closing = TagScanner(0)

    def feed(self, data: bytes) -> None:
        """Keep bytes that have arrived; they are not read yet.

        Raises:
            StreamError: POLICY_VIOLATION if more bytes wait than one stanza and those that a paused
                connection may still bring.
        """
        if self._deaf:
            return
        if not self._data:
            self._data = data
            return
        rest = self._data[self._at :]
        if len(rest) + len(data) > self._limits.max_stanza_bytes + MAX_READ_AHEAD_BYTES:
            self._fall_silent()
            raise StreamError(StreamCondition.POLICY_VIOLATION, "too many bytes at once")
        self._data = rest + data
        self._at = 0

    def next(self) -> StreamOpened | Received | StreamClosed | None:
        """The next event; None when more bytes are needed, and after the end for ever.

        Raises:
            StreamError: This stream cannot go on; nothing that follows is read.
        """
        data = self._data
        if not data:
            return None
        try:
            content = self._content
            if content is None:
                return self._read_header()
            if self._partial is not None:
                return self._read_partial(self._partial)
            start = _start(data, self._at)
            if start is None:
                return self._read_between(content)
            begin = start.end(1)
            end = _proposed_end(data, begin, start[2])
            if end < 0 or (
                end - begin > self._ordinary_bytes and not self._within(data, begin, end)
            ):
                return self._begin_partial(begin, content)
            found = data[begin:end]
            if _has_more_than_tags(found):
                return self._begin_partial(begin, content)
            try:
                tree = content.pool.parse(found)
            except (ParseError, UnicodeDecodeError):  # only reading it in order tells where
                return self._begin_partial(begin, content)
            self._consume(end)
            return content.received(found, tree)
        except StreamError:
            self._fall_silent()
            raise

    def whole(self, data: bytes, name: bytes) -> Received | None:
        """An element that has come apart from all others, if it is as simple as most are; if not,
        it has to be fed. Nothing may wait to be read.

        Args:
            data: Its bytes, from its start tag on.
            name: That of the tag.
        """
        content, size_bytes = self._content, len(data)
        if (
            content is None
            or _proposed_end(data, 0, name) != size_bytes
            or (size_bytes > self._ordinary_bytes and not self._within(data, 0, size_bytes))
            or _has_more_than_tags(data)
        ):
            return None
        try:
            tree = content.pool.parse(data)
        except (ParseError, UnicodeDecodeError):
            return None
        return content.received(data, tree)

    def _within(self, data: bytes, begin: int, end: int) -> bool:
        """Whether counting bytes proves that it is within the limits; it may be even if not."""
        limits = self._limits
        return (
            end - begin <= limits.max_stanza_bytes
            and data.count(b"</", begin, end) < limits.max_depth
            and data.count(b"=", begin, end) <= limits.max_attributes
        )

    def _read_header(self) -> StreamOpened | None:
        self._skip_space()
        header = self._header.read(self._data)
        if header is None:
            return None
        self._consume(header.end)
        self._content = Content(header.opened, self._namespace)
        self._closing_name = header.name
        return header.opened

    def _read_between(self, content: Content) -> Received | StreamClosed | None:
        """Read anything but a whole start tag: white space, the end, a torn tag, or an error."""
        self._skip_space()
        head = self._data[:3]
        if head in (b"", b"<", b"<!"):
            return None
        if head[0:1] != b"<" or head == b"<![":
            raise StreamError(StreamCondition.BAD_FORMAT, "text between stanzas")
        if head[1:2] in (b"!", b"?"):
            raise StreamError(
                StreamCondition.RESTRICTED_XML, "a comment or other markup between stanzas"
            )
        if head[1:2] == b"/":
            return self._read_closing()
        return self._begin_partial(0, content)

    def _read_closing(self) -> StreamClosed | None:
        end = self._closing.find_end(self._data, 0)
        check_stream_tag(len(self._data) if end < 0 else end)
        if end < 0:
            return None
        if self._data[2 : end - 1].rstrip(WHITE_SPACE) != self._closing_name:
            raise StreamError(
                StreamCondition.NOT_WELL_FORMED, "the closing tag does not match the stream header"
            )
        self._fall_silent()
        return StreamClosed()

    def _begin_partial(self, begin: int, content: Content) -> Received | None:
        self._at = begin
        self._partial = _PartialElement(content, self._limits)
        return self._read_partial(self._partial)

    def _read_partial(self, partial: "_PartialElement") -> Received | None:
        self._data, self._at = partial.read(self._data[self._at :]), 0
        if not partial.ended:
            return None
        self._partial = None
        return partial.received()

    def _skip_space(self) -> None:
        self._data = self._data[self._at :].lstrip(WHITE_SPACE)
        self._at = 0

    def _consume(self, end: int) -> None:
        if end == len(self._data):
            self._data = b""
            self._at = 0
        else:
            self._at = end

    def _fall_silent(self) -> None:
        self._deaf = True
        self._data = b""
        self._at = 0
        self._partial = None


def _proposed_end(data: bytes, begin: int, name: bytes) -> int:
    """The end of an element that is as simple as most are; -1 if it is torn, or is not.

    If the bytes up to there are well-formed and have nothing but tags, they are one element: it
    ends with the first end tag of its name, and no element of its name is inside it.
    """
    find = data.find
    close = find(b"</" + name, begin)
    if close < 0 or find(b"<" + name, begin + 1, close) >= 0:
        empty = _empty_element(data, begin)
        return -1 if empty is None else empty.end()
    end = close + len(name) + 3
    return end if data[end - 1 : end] == b">" else -1


def _has_more_than_tags(found: bytes) -> bool:
    """Whether there may be a CDATA section, a comment or the like, in which tags are no tags."""
    # Looking for one byte, as a number, takes a fifth of the time of looking for two.
    return (_BANG in found and b"<!" in found) or (_QUESTION in found and b"<?" in found)


class _PartialElement:
    """An element that is not complete yet, or that must be read token by token.

    Attributes:
        data: Its bytes as far as they have come.
    """

    __slots__ = ("_at", "_content", "_limits", "_parser", "_scanner", "data")

    def __init__(self, content: Content, limits: ParserLimits) -> None:
        self.data = bytearray()
        self._at = 0  # the ends of the whole tokens, and of those that expat has got
        self._content = content
        self._limits = limits
        self._parser = content.pool.borrow()
        self._scanner = ElementScanner(limits)

    @property
    def ended(self) -> bool:
        """Whether all of it was read."""
        return self._scanner.ended

    def read(self, more: bytes) -> bytes:
        """Read on while tokens are whole; returns the bytes behind the element, once it has ended.

        Raises:
            StreamError: It is not well-formed, or there is too much of it.
        """
        data, at = self.data, self._at
        data += more
        end = self._at = self._scanner.advance(data, at)
        behind = bytes(data[end:]) if self.ended else b""
        del data[len(data) - len(behind) :]
        self._limits.check_stanza(len(data))
        if end > at:
            try:
                self._parser.feed(bytes(data[at:end]))
            except ParseError as error:
                raise stream_error(error) from None
        return behind

    def received(self) -> Received:
        """The element, which has ended.

        Raises:
            StreamError: NOT_WELL_FORMED: it is not UTF-8.
        """
        data, parser = bytes(self.data), self._parser
        try:
            check_utf8(data)
        except UnicodeDecodeError as error:
            raise StreamError(StreamCondition.NOT_WELL_FORMED, "this is not UTF-8") from error
        tree = parser.take()
        parser.fed_bytes += len(data)
        self._content.pool.give_back(parser)
        return self._content.received(data, tree, opaque=self._scanner.opaque)
