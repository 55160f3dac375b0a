"""Parsers for bytes that are known to be one element; trees are built in C.

Between two stanzas the state of an expat parser is the same for all streams with the same header.
So parsers are pooled: an idle stream has none, a stream with an unfinished stanza borrows one.
"""

from collections.abc import Callable
from xml.etree.ElementTree import Element as Tree
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser

from xmppd.stanza.error import StreamCondition, StreamError

MAX_FED_BYTES = 64 << 10
NO_MEMORY = 1
UNDEFINED_ENTITY = 11


class ElementParser:
    """One parser inside a stream whose header it has read.

    Attributes:
        feed: Takes whole tokens of one element. It raises ParseError, and is then of no more use.
        root: The stream's own element, which holds the one that is read or was read last.
        fed_bytes: The number of bytes it was given. Expat keeps names, in up to 40 times the bytes
            they take.
    """

    __slots__ = ("fed_bytes", "feed", "root")

    def __init__(self, header: bytes) -> None:
        builder = TreeBuilder()
        parser = XMLParser(target=builder, encoding="utf-8")
        parser.feed(header)
        self.root = builder.close()  # as much as there is of it, which goes on growing
        self.feed: Callable[[bytes], None] = parser.feed
        self.fed_bytes = 0

    def take(self) -> Tree:
        """The element that has ended; the parser lets go of it."""
        root = self.root
        (tree,) = root
        root.clear()
        return tree


def check_utf8(data: bytes) -> None:
    """Refuse a torn character at the end of an element.

    Expat would wait for the rest of it, and swallow the beginning of what is read next: another
    stream's, from the pool.

    Raises:
        UnicodeDecodeError: The bytes are not UTF-8.
    """
    data.decode()


def stream_error(error: ParseError) -> StreamError:
    """The error for the peer: its own entities are forbidden, everything else is not XML.

    Raises:
        MemoryError: It is no mistake of the peer's.
    """
    if error.code == NO_MEMORY:
        raise MemoryError from error
    if error.code == UNDEFINED_ENTITY:
        return StreamError(StreamCondition.RESTRICTED_XML, str(error))
    return StreamError(StreamCondition.NOT_WELL_FORMED, str(error))


class ParserPool:
    """The idle parsers of all streams with one header.

    A parser that was given :data:`MAX_FED_BYTES` is let go, for expat never forgets a name. So is
    one that raised: it is not given back.

    Args:
        header: The stream header, as far as it concerns names.
        max_idle: The number of parsers that are kept.
    """

    __slots__ = ("_header", "_idle", "_max_idle")

    def __init__(self, header: bytes, max_idle: int) -> None:
        self._header = header
        self._max_idle = max_idle
        self._idle: list[ElementParser] = []

    def __len__(self) -> int:
        return len(self._idle)

    def borrow(self) -> ElementParser:
        """A parser between two stanzas."""
        return self._idle.pop() if self._idle else ElementParser(self._header)

    def give_back(self, parser: ElementParser) -> None:
        """Take back a parser that is between two stanzas."""
        if parser.fed_bytes < MAX_FED_BYTES and len(self._idle) < self._max_idle:
            self._idle.append(parser)

    def parse(self, data: bytes) -> Tree:
        """The element that these bytes are.

        Raises:
            ParseError: They are not well-formed.
            UnicodeDecodeError: They are not UTF-8.
        """
        if not data.isascii():
            check_utf8(data)
        # This is borrow, take and give_back, written out, since every whole stanza comes by here.
        idle = self._idle
        parser = idle.pop() if idle else ElementParser(self._header)
        parser.feed(data)
        root = parser.root
        tree = root[0]
        root.clear()
        parser.fed_bytes += len(data)
        if parser.fed_bytes < MAX_FED_BYTES and len(idle) < self._max_idle:
            idle.append(parser)
        return tree
