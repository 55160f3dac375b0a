"""What plain pyexpat hears in a whole stream: the slow and certain way, to compare with."""

from collections.abc import Iterable, Sequence
from pyexpat import ExpatError, ParserCreate
from random import Random
from xml.etree.ElementTree import Element, TreeBuilder, fromstring, tostring

from tests.unit.stream.stream_cases import HEADER, LIMITS
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stream.framing import Framing
from xmppd.stream.stream_parser import Received, StreamClosed
from xmppd.stream.tcp_framing import TCP

CONTENT = "jabber:client"


class Forbidden(Exception):
    """What is XML, and yet has no place in a stream."""


class Reference:
    """One stream, as expat reports it when it is given all of it at once.

    Attributes:
        elements: Each at stanza level with its bytes, and whether they mean the same elsewhere.
        closed: Whether the stream came to its end.
        failed: Whether there is a mistake before that.
    """

    def __init__(self, data: bytes) -> None:
        self.elements: list[tuple[Element, bytes, bool]] = []
        self.closed = False
        self.failed = False
        self._data = data
        self._depth = 0
        self._begin = 0
        self._bare = False
        self._portable = True
        self._declared = False
        self._inside = [True]  # by depth: whether all from the stanza on is content
        self._again = [False]  # by depth: whether the content namespace was declared once more
        self._builder = TreeBuilder()
        self._parser = parser = ParserCreate("UTF-8", "}")
        parser.namespace_prefixes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._namespace
        parser.StartCdataSectionHandler = self._section
        parser.CommentHandler = self._forbidden
        parser.ProcessingInstructionHandler = self._forbidden
        parser.StartDoctypeDeclHandler = self._forbidden
        try:
            parser.Parse(data)
        except (ExpatError, Forbidden):
            self.failed = not self.closed

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 1:
            self._begin = self._parser.CurrentByteIndex
            self._portable &= self._content(name)
        if self._depth:
            renamed = {self._plain(key): value for key, value in attributes.items()}
            self._builder.start(self._tag(name), renamed)
            self._again.append(self._again[-1] or self._declared)
            if self._content(name):
                self._portable &= self._again[-1] != self._inside[-1]
            self._declared = False
        self._bare = True
        self._depth += 1

    def _tag(self, name: str) -> str:
        """A name without the content namespace, as long as nothing else is around it."""
        tag, content = self._plain(name), self._content(name)
        self._inside.append(self._inside[-1] and content)
        if content and self._inside[-1]:
            return tag.removeprefix(f"{{{CONTENT}}}")
        return "{}" + tag if self._inside[-2] and tag[0] != "{" else tag

    def _content(self, name: str) -> bool:
        return name.startswith(CONTENT + "}")

    def _plain(self, name: str) -> str:
        """A name as ElementTree spells it."""
        namespace, local, prefix = [*name.split("}"), "", ""][:3]
        self._portable &= prefix != "stream"
        return f"{{{namespace}}}{local}" if local else namespace

    def _end(self, name: str) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.closed = True
            return
        self._again.pop()
        self._inside.pop()
        element = self._builder.end(self._plain(name))
        if self._depth == 1:
            self.elements.append((element, self._raw(), self._portable))
            self._builder = TreeBuilder()
            self._portable = True
        self._bare = False

    def _raw(self) -> bytes:
        """The bytes of the element that just ended.

        Expat points behind an empty tag, but at the beginning of an end tag.
        """
        at = self._parser.CurrentByteIndex
        if not (self._bare and self._data[at - 2 : at] == b"/>"):
            at = self._data.index(b">", at) + 1
        return self._data[self._begin : at]

    def _text(self, text: str) -> None:
        self._bare = False
        if self._depth > 1:
            self._builder.data(text)
        elif self._depth == 1 and (text.strip(" \t\r\n") or self._is_reference()):
            raise Forbidden

    def _is_reference(self) -> bool:
        return self._data.startswith(b"&", self._parser.CurrentByteIndex)

    def _namespace(self, prefix: str | None, uri: str | None) -> None:
        if self._depth:
            self._declared |= uri == CONTENT
            self._portable &= bool(uri)

    def _section(self) -> None:
        self._bare = self._portable = False
        if self._depth == 1:
            raise Forbidden

    def _forbidden(self, *_: object) -> None:
        if not self.closed:
            raise Forbidden


def differences(data: bytes, pieces: Iterable[bytes], framing: Framing = TCP) -> list[str]:
    """How a framing's reader, given a stream in pieces, hears it otherwise than the reference."""
    reference = Reference(HEADER + data)
    received, closed, error = _hear(pieces, framing)
    if error is not None and error.condition is StreamCondition.POLICY_VIOLATION:
        return []
    broken = []
    if len(received) != len(reference.elements):
        broken.append(f"{len(received)} elements, not {len(reference.elements)}")
    # What expat still waits for the end of, the parser may know to be forbidden.
    if closed != reference.closed or (error is None and reference.failed):
        broken.append(f"closed {closed}, {error!r}; not {reference.closed}, {reference.failed}")
    for event, expected in zip(received, reference.elements, strict=False):
        broken += _difference(event, *expected)
    return broken


def _hear(
    pieces: Iterable[bytes], framing: Framing
) -> tuple[list[Received], bool, StreamError | None]:
    reader = framing.reader(LIMITS, CONTENT)
    reader.feed(HEADER)
    reader.next()
    received: list[Received] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next()) is not None:
                if isinstance(event, StreamClosed):
                    return received, True, None
                assert isinstance(event, Received)
                received.append(event)
    except StreamError as error:
        return received, False, error
    return received, False, None


def _difference(event: Received, tree: Element, raw: bytes, portable: bool) -> list[str]:
    broken = []
    if _shape(event.tree) != _shape(tree):
        broken.append(f"{tostring(event.tree)!r}, not {tostring(tree)!r}")
    if event.raw is None:
        return broken
    sender = tree.attrib.pop("from", None)
    if not portable or (sender is None and event.raw != raw):
        broken.append(f"the bytes are {event.raw!r}; portable {portable}: {raw!r}")
    elif _shape(fromstring(event.raw)) != _shape(tree):
        broken.append(f"{event.raw!r} alone means something else")
    return broken


def _shape(element: Element) -> Sequence[object]:
    """An element as values that can be compared."""
    children = [(_shape(child), child.tail or "") for child in element]
    return element.tag, dict(element.attrib), element.text or "", children


FRAGMENTS = (
    b"<message to='a' id=\"b\">", b"<message>", b"</message>", b"<message/>", b"</message >",
    b"<iq type='get'>", b"</iq>", b"<iq/>", b"<body>", b"</body>", b"<body/>", b"<messages/>",
    b"<presence from='x'/>", b"<presence xml:lang='en'/>", b"<x xmlns='u'>", b"</x>", b"<x\n/>",
    b"<message xmlns='jabber:client'>", b"<body xmlns=''/>", b"<body xmlns='&#106;abber:client'/>",
    b"<c:body xmlns:c='jabber:client'/>", b"<y:z xmlns:y='u' y:a='1'/>", b"<stream:x/>",
    b"<q a='>' b=\"/>\" c='&lt;/iq>'/>", b"<q a=''/>", b"<q stream:a='1'/>", b"<q a='\"'/>",
    b"text ", b" ", b"\r\n", b"&amp;", b"&lt;/message&gt;", b"&#x41;", b"]]", b"'", b'"', b">",
    b"<![CDATA[", b"]]>", b"<![CDATA[</message>]]>", b"<![CDATA[]]>", b"\xce\xb2", "😀".encode(),
    b"<message><body>", b"</body></message>", b"<iq id='1'><query xmlns='u'/></iq>",
)  # fmt: skip
WRONG = (
    b"<!-- -->", b"<!--", b"-->", b"<?x ?>", b"<?", b"<!DOCTYPE x>", b"<!", b"&foo;", b"&", b"&#",
    b"<", b"</", b"<a b='", b"<a b=c>", b"<a b='1' b='2'/>", b"<u:v/>", b"\xff", b"\xe2\x82",
    b"\x00", b"<a b='<'/>", b"</stream:stream>", b"]]>", b"=", b"/", b"<1/>", b"<a/ >", b"<a",
)  # fmt: skip


def cut(data: bytes, random: Random) -> list[bytes]:
    """A stream torn at random places, now and then between any two bytes."""
    most = random.choice((1, 5, 40, 4000))
    pieces, at = [], 0
    while at < len(data):
        size = random.randint(1, most)
        pieces.append(data[at : at + size])
        at += size
    return pieces
