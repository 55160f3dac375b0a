"""Scanners for the ends of tags and elements in bytes that may be torn anywhere.

A scanner only proposes: it counts tags without understanding them, and expat gets its result, and
refuses all that is not well-formed. Bytes that both accept are cut at the same place by both.

Scanning never starts over: a scanner given more bytes goes on where it stopped.
"""

import re
from dataclasses import dataclass

from xmppd.stanza.error import StreamCondition, StreamError

_LESS, _GREATER, _SLASH, _AMPERSAND, _SEMICOLON = b"<>/&;"
_SECTION = b"<![CDATA["

_NO_QUOTE, _DOUBLE, _SINGLE = 0, *b"\"'"
_TAG_STOPS = {
    _NO_QUOTE: re.compile(rb"[<>\"']").search,
    _DOUBLE: re.compile(rb"[<\"]").search,
    _SINGLE: re.compile(rb"[<']").search,
}
_TEXT_STOP = re.compile(rb"[<&]").search
_REFERENCE_STOP = re.compile(rb"[^#\w.:\-\x80-\xff]").search


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """The limits of what a stream may send at once.

    Attributes:
        max_stanza_bytes: Of one stanza, from its ``<`` to its ``>``.
        max_depth: Elements inside one another; the stanza itself is the first.
        max_attributes: On one element, namespace declarations included.
    """

    max_stanza_bytes: int
    max_depth: int
    max_attributes: int

    def check_stanza(self, size_bytes: int) -> None:
        """Refuse a stanza, or a part of one, that is too long.

        Raises:
            StreamError: POLICY_VIOLATION.
        """
        if size_bytes > self.max_stanza_bytes:
            raise too_much("bytes in one stanza")

    def check_depth(self, depth: int) -> None:
        """Refuse an element that lies too deep.

        Raises:
            StreamError: POLICY_VIOLATION.
        """
        if depth > self.max_depth:
            raise too_much("elements inside one another")


def too_much(what: str) -> StreamError:
    """The error for a peer that has sent more than it may."""
    return StreamError(StreamCondition.POLICY_VIOLATION, f"too many {what}")


class TagScanner:
    """Finds the end of one tag after another; a ``>`` in an attribute value is no end.

    Args:
        max_attributes: The number that a tag may have.
    """

    __slots__ = ("_attributes", "_max_attributes", "_quote", "_scanned")

    def __init__(self, max_attributes: int) -> None:
        self._max_attributes = max_attributes
        self._attributes = 0
        self._quote = _NO_QUOTE
        self._scanned = 1

    def find_end(self, data: bytes | bytearray, begin: int) -> int:
        """The position behind the tag whose ``<`` is at ``begin``; -1 while its end is missing.

        Raises:
            StreamError: NOT_WELL_FORMED for a ``<`` inside it, POLICY_VIOLATION for too many
                attributes.
        """
        at, quote = begin + self._scanned, self._quote
        while (stop := _TAG_STOPS[quote](data, at)) is not None:
            at = stop.end()
            byte = data[at - 1]
            if byte == _LESS:
                raise StreamError(StreamCondition.NOT_WELL_FORMED, "'<' inside a tag")
            if byte == _GREATER:
                self._scanned, self._quote, self._attributes = 1, _NO_QUOTE, 0
                return at
            if quote != _NO_QUOTE:
                quote = _NO_QUOTE
                continue
            quote = byte
            self._attributes += 1
            if self._attributes > self._max_attributes:
                raise too_much("attributes on one element")
        self._scanned, self._quote = len(data) - begin, quote
        return -1


class ElementScanner:
    """Finds the end of one element, and on the way how far its tokens are whole.

    Expat may put off a torn token until long after its end has come, so it is never given one.

    Attributes:
        ended: Whether the end was found; nothing is scanned after it.
        opaque: Whether a CDATA section was seen, in which tags are no tags.
    """

    __slots__ = ("_depth", "_in_section", "_limits", "_reference", "_tag", "ended", "opaque")

    def __init__(self, limits: ParserLimits) -> None:
        self.ended = False
        self.opaque = False
        self._limits = limits
        self._tag = TagScanner(limits.max_attributes)
        self._depth = 0
        self._in_section = False
        self._reference = 1

    def advance(self, data: bytearray, at: int) -> int:
        """Read tokens from ``at`` on, up to the element's end or to one that is torn.

        Returns:
            Where it stopped; the next call begins there.

        Raises:
            StreamError: RESTRICTED_XML for a comment or the like, POLICY_VIOLATION for too many
                attributes or levels, NOT_WELL_FORMED where expat need not be asked.
        """
        while not self.ended and at < len(data):
            end = self._section(data, at) if self._in_section else self._token(data, at)
            if end < 0:
                break
            at = end
        return at

    def _token(self, data: bytearray, at: int) -> int:
        if data[at] == _LESS:
            return self._markup(data, at)
        if data[at] == _AMPERSAND:
            return self._reference_end(data, at)
        stop = _TEXT_STOP(data, at)
        return len(data) if stop is None else stop.start()

    def _markup(self, data: bytearray, at: int) -> int:
        second = data[at + 1 : at + 2]
        if second == b"!":
            return self._section_begin(data, at)
        if second == b"?":
            raise StreamError(StreamCondition.RESTRICTED_XML, "a processing instruction")
        end = self._tag.find_end(data, at)
        if end > 0:
            self._count(data, at, end)
        return end

    def _count(self, data: bytearray, begin: int, end: int) -> None:
        if data[begin + 1] == _SLASH:
            self._depth -= 1
        else:
            self._limits.check_depth(self._depth + 1)
            self._depth += data[end - 2] != _SLASH
        self.ended = self._depth == 0

    def _section_begin(self, data: bytearray, at: int) -> int:
        head = bytes(data[at : at + len(_SECTION)])
        if head == _SECTION:
            self._in_section = self.opaque = True
            return at + len(_SECTION)
        if _SECTION.startswith(head):
            return -1
        raise StreamError(StreamCondition.RESTRICTED_XML, "a comment or declaration")

    def _section(self, data: bytearray, at: int) -> int:
        end = data.find(b"]]>", at)
        if end >= 0:
            self._in_section = False
            return end + 3
        end = len(data) - 2  # perhaps the beginning of "]]>"
        return end if end > at else -1

    def _reference_end(self, data: bytearray, begin: int) -> int:
        stop = _REFERENCE_STOP(data, begin + self._reference)
        if stop is None:
            self._reference = len(data) - begin
            return -1
        self._reference = 1
        end = stop.start()
        return end + 1 if data[end] == _SEMICOLON else end
