"""Trees from bytes that are known to be one element, built in C.

Between two stanzas the state of an expat parser is the same for all streams with the same header.
So parsers are pooled: an idle stream has none, a stream with an unfinished stanza borrows one.
"""

from xml.etree.ElementTree import Element as Tree
from xml.etree.ElementTree import ParseError, TreeBuilder, XMLParser

from xmppd.stanza.error import StreamCondition, StreamError

MAX_FED_BYTES = 256 << 10
_UNDEFINED_ENTITY = 11


class ElementParser:
    """One parser inside a stream whose header it has read.

    Attributes:
        fed_bytes: How much it was given; its table of names has grown by at most 32 times that.
    """

    __slots__ = ("feed_unchecked", "_root", "fed_bytes")

    def __init__(self, header: bytes) -> None:
        builder = TreeBuilder()
        parser = XMLParser(target=builder, encoding="utf-8")
        parser.feed(header)
        self._root = builder.close()  # the stream's own element, which goes on growing
        self.feed_unchecked = parser.feed
        self.fed_bytes = 0

    def feed(self, data: bytes) -> None:
        """Read whole tokens of one element. After an error the parser is of no more use.

        Raises:
            StreamError: RESTRICTED_XML for an entity of the peer's own, else NOT_WELL_FORMED.
        """
        self.fed_bytes += len(data)
        try:
            self.feed_unchecked(data)
        except ParseError as error:
            raise StreamError(_condition(error), str(error)) from None

    def take(self) -> Tree:
        """The element that has ended, and is the parser's no more."""
        root = self._root
        (tree,) = root
        root.clear()
        return tree


def _condition(error: ParseError) -> StreamCondition:
    if error.code == _UNDEFINED_ENTITY:
        return StreamCondition.RESTRICTED_XML
    return StreamCondition.NOT_WELL_FORMED


class ParserPool:
    """The idle parsers of all streams with one header.

    A parser that was given :data:`MAX_FED_BYTES` is let go, for expat never forgets a name. So is
    one that raised: it is not given back.

    Args:
        header: The stream header, without what does not concern names.
        max_idle: How many parsers are kept.
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
        """The parser is between two stanzas again."""
        if parser.fed_bytes < MAX_FED_BYTES and len(self._idle) < self._max_idle:
            self._idle.append(parser)

    def parse(self, data: bytes) -> Tree | None:
        """The element that these bytes are; None if they are not well-formed.

        Args:
            data: One element, if it is well-formed.
        """
        idle = self._idle
        parser = idle.pop() if idle else ElementParser(self._header)
        try:
            parser.feed_unchecked(data)
        except ParseError:
            return None
        parser.fed_bytes += len(data)
        tree = parser.take()
        if parser.fed_bytes < MAX_FED_BYTES and len(idle) < self._max_idle:
            idle.append(parser)
        return tree
