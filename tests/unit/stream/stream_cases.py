"""Streams and what is to be heard in them, for every Python that runs here.

Nothing but the standard library and the parser itself is needed, so that an interpreter without our
dependencies can check them too: see ``stream_check.py``.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

from xmppd.stanza import ns
from xmppd.stanza.error import StreamError
from xmppd.stream.framing import Framing
from xmppd.stream.stream_parser import ParserLimits, Received, StreamClosed, StreamOpened
from xmppd.stream.tcp_framing import TCP

LIMITS = ParserLimits(max_stanza_bytes=20_000, max_depth=32, max_attributes=16)
STREAMS = "http://etherx.jabber.org/streams"
HEADER = (
    b"<?xml version='1.0'?><stream:stream to='montague.lit' version='1.0' "
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
)
END = b"</stream:stream>"


@dataclass(frozen=True)
class Case:
    """One stream.

    Attributes:
        says: What it shows.
        data: Its bytes.
        heard: Each event in one word: ``open``, ``closed``, ``!condition``; for an element its
            tag, followed by ``=`` and its bytes if they may be handed on.
    """

    says: str
    data: bytes
    heard: list[str] = field(default_factory=list)


def word(event: StreamOpened | Received | StreamClosed) -> str:
    """An event as a case spells it."""
    if isinstance(event, Received):
        raw = "" if event.raw is None else "=" + event.raw.decode()
        return event.tree.tag + raw
    return "open" if isinstance(event, StreamOpened) else "closed"


def hear(
    pieces: Iterable[bytes], limits: ParserLimits = LIMITS, *, framing: Framing = TCP
) -> list[str]:
    """What the reader of a framing makes of a stream that comes in these pieces."""
    reader = framing.reader(limits, ns.CLIENT)
    heard: list[str] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (event := reader.next()) is not None:
                heard.append(word(event))
    except StreamError as error:
        heard.append("!" + error.condition.value)
    return heard


def bytewise(data: bytes) -> Iterator[bytes]:
    """A stream as the slowest of wires brings it."""
    return (data[at : at + 1] for at in range(len(data)))


def torn(data: bytes, random: Random) -> Iterator[bytes]:
    """A stream torn at random places."""
    at = 0
    while at < len(data):
        size = random.choice((1, 2, 3, 7, 19, 60, 250))
        yield data[at : at + size]
        at += size


def late(data: bytes, framing: Framing) -> list[str]:
    """The events that do not come with the ``>`` that ends each of them."""
    reader = framing.reader(LIMITS, ns.CLIENT)
    found: list[str] = []
    try:
        for piece in bytewise(data):
            reader.feed(piece)
            event = reader.next()
            if event is not None and piece != b">":
                found.append(word(event))
    except StreamError:
        return found
    return found


def ways(data: bytes, random: Random) -> Iterator[list[bytes]]:
    """A stream whole, byte by byte, torn at random, and, if it is short, in two at any place."""
    yield [data]
    yield list(bytewise(data))
    for _ in range(10):
        yield list(torn(data, random))
    if len(data) < 1000:
        begin = len(HEADER) if data.startswith(HEADER) else 1
        yield from ([data[:at], data[at:]] for at in range(begin, len(data)))


def mishearings(case: Case, framing: Framing) -> list[str]:
    """Where the case is heard otherwise than it should be."""
    broken = [f"{case.says}: {event} is late" for event in late(case.data, framing)]
    for pieces in ways(case.data, Random(case.says)):
        heard = hear(pieces, framing=framing)
        if heard != case.heard:
            broken.append(f"{case.says}: {heard} in {len(pieces)} pieces")
    return broken


def stanza(says: str, data: str, *heard: str) -> Case:
    """A case behind the usual header, with another stanza behind it unless it ends the stream."""
    if heard and heard[-1].startswith("!"):
        return Case(says, HEADER + data.encode(), ["open", *heard])
    return Case(says, HEADER + data.encode() + b"<a/>" + END, ["open", *heard, "a=<a/>", "closed"])


def same(says: str, *stanzas: str) -> Case:
    """A case whose stanzas may be handed on as they came."""
    heard = [text.strip()[1:].split(">")[0].split()[0].rstrip("/") + "=" + text for text in stanzas]
    return stanza(says, "".join(stanzas), *heard)


def header(says: str, data: str | bytes, *heard: str) -> Case:
    """A case of a header alone."""
    return Case(says, data if isinstance(data, bytes) else data.encode(), list(heard))


def prefixed(says: str, declarations: str, data: str, *heard: str) -> Case:
    """A case whose header declares this, in the prefix ``stream``."""
    head = f"<stream:stream xmlns:stream='{STREAMS}' {declarations}>"
    return Case(says, (head + data).encode(), ["open", *heard])


FORWARDED = (
    "<message><f xmlns='u'><message xmlns='jabber:client'><body>a</body></message></f></message>"
)
OPEN = f"<stream:stream xmlns='jabber:client' xmlns:stream='{STREAMS}'>"

ORDINARY = [
    same("a message", "<message to='a@b' id='1'><body>Hi</body></message>"),
    same("an empty element", "<presence/>"),
    same("empty elements in a row", "<presence/>", "<iq type='result' id='x'/>", "<presence />"),
    same("an empty one, then one of its name", "<iq id='1'/>", "<iq id='2'><a/></iq>"),
    same("a full one, then an empty one", "<iq id='2'><a/></iq>", "<iq id='1'/>"),
    same("space in the end tag", "<message ><body/></message \n>"),
    same("a new line in the start tag", "<message\n\tto='a'\r\n>x</message>"),
    same(
        "a name that begins like another", "<message><messages/><message-x></message-x></message>"
    ),
    same("its own name inside", "<message><message>a</message><message/></message>"),
    same("its own name inside, in another namespace", "<iq><x xmlns='u'><iq/></x></iq>"),
    same("'>' in attributes", "<presence to='a>b'/>", '<iq a="/>" b=\'>\'><q a="&lt;/iq>"/></iq>'),
    same("'/>' in the second attribute", "<q a='>' b=\"/>\" c='/>'/>"),
    same("quotes in quotes", """<iq a='"' b="'>'"><x y='"/>"'/></iq>"""),
    same("quotes in text", '<message><body>it\'s "so" > </body></message>'),
    same("the five entities", "<message><body>&lt;/message&gt;&amp;&quot;&apos;</body></message>"),
    same(
        "character references",
        "<message>&#65;&#x1F600;&#0000000000000000000000000000038;</message>",
    ),
    same("a long reference before the end", "<a>&#" + "0" * 200 + "38;</a>"),
    same("text in other scripts", "<message><body>ὰβγ 😀</body></message>"),
    same("']]' without '>'", "<message><body>a ]] ] b</body></message>"),
    same("a prefix that it declares itself", "<message xmlns:x='u' x:y='1'><x:z/></message>"),
    same("a forwarded message", FORWARDED),
    same("it, with references", FORWARDED.replace("r:c", "r&#58;c")),
    same("the other content namespace", "<a><b xmlns='jabber:server'><c/></b></a>"),
    same("the prefix xml", "<message xml:lang='en'><body xml:lang='de'>x</body></message>"),
    same(
        "words that look like trouble",
        "<message><body>stream: '' \"\" jabber:client</body></message>",
    ),
    same("an empty attribute", "<message id='' type=\"\"><x xmlns='u' a=''/></message>"),
    same("a name in another script", "<a><ὰβγ>x</ὰβγ></a>"),
    same("a deep one", "<a>" + "<b>" * 31 + "</b>" * 31 + "</a>"),
    same("a tag as long as a stanza may be", "<a b='" + "x" * 19_991 + "'/>"),
    same("a long attribute inside", "<a><b c='" + "x" * 19_000 + "'/></a>"),
    same("sixteen attributes", "<a " + " ".join(f"b{n}='='" for n in range(16)) + "/>"),
    stanza("white space around", " \r\n\t<presence/> \n ", "presence=<presence/>"),
    stanza("keep-alives", " " * 3000, *()),
    Case("space in the closing tag", HEADER + b"</stream:stream \n >", ["open", "closed"]),
    Case("what follows the end is not heard", HEADER + END + b"<a/></b>", ["open", "closed"]),
]

WITHOUT_SENDER = [
    stanza("a sender of its own", "<message from='a@b' to='c'><body/></message>",
           "message=<message to='c'><body/></message>"),
    stanza("a sender, spelled oddly", "<message\na='>' from = 'a@b'\n/>",
           "message=<message\na='>'\n/>"),
    stanza("what looks like a sender", "<a b=' from=\"x\"' xml:from='' c=\" from='y'\" from=''/>",
           "a=<a b=' from=\"x\"' xml:from='' c=\" from='y'\"/>"),
]  # fmt: skip

WRITTEN_AGAIN = [
    stanza("a sender of an odd element", "<a-b from='x'/>", "a-b"),
    stanza("CDATA", "<message><body><![CDATA[</message>&<!-- ]] ]>]]></body></message>", "message"),
    stanza("much CDATA", "<message><![CDATA[" + "</message>]]" * 99 + "]]></message>", "message"),
    stanza("the content namespace again", "<iq xmlns='jabber:client'><x/></iq>", "iq"),
    stanza("the content namespace for a child", "<iq><x xmlns='jabber:client'/></iq>", "iq"),
    stanza("it, with references", "<iq><x xmlns='jabber&#58;client'/></iq>", "iq"),
    stanza("it, with a prefix", "<iq><c:x xmlns:c='jabber:client'/></iq>", "iq"),
    stanza("a bare name in another namespace", "<iq><x:x xmlns:x='u'><y/></x:x></iq>", "iq"),
    stanza("no namespace", "<message><body xmlns=''/></message>", "message"),
    stanza("no namespace at all", "<message xmlns=''/>", "{}message"),
    stanza("no namespace, deep", "<a><x xmlns='u'><y xmlns=''/></x></a>", "a"),
    stanza("no namespace, spelled oddly", '<a><b c="" xmlns\n=\t""/></a>', "a"),
    stanza("a prefix of the header", "<message><stream:x/></message>", "message"),
    stanza("an attribute with it", "<message><x stream:y='1'/></message>", "message"),
    stanza("another namespace", "<auth xmlns='u:sasl'>AA==</auth>", "{u:sasl}auth"),
    stanza("a stream error", "<stream:error><x/></stream:error>", f"{{{STREAMS}}}error"),
    stanza("features", "<stream:features/>", f"{{{STREAMS}}}features"),
    prefixed("a prefix for the content", "xmlns='jabber:client' xmlns:c='jabber:client'",
             "<c:message><c:body/></c:message><message/>", "message", "message"),
    prefixed("only a prefix for the content", "xmlns:c='jabber:client'",
             "<c:message/><message/>", "message", "{}message"),
    prefixed("no content namespace", "", "<message xmlns='jabber:client'><body/></message>"
             "<message/>", "message", "{}message"),
    prefixed("another default namespace", "xmlns='u' xmlns:c='jabber:client'",
             "<c:message/><message/>", "message", "{u}message"),
    prefixed("a prefix beyond stream", "xmlns='jabber:client' xmlns:q='u'",
             "<message><q:x/></message><message/>", "message", "message"),
    Case("another prefix for streams",
         f"<s:stream xmlns:s='{STREAMS}' xmlns='jabber:client'><a/></s:stream>".encode(),
         ["open", "a", "closed"]),
    Case("streams as the default namespace",
         f"<stream xmlns='{STREAMS}' xmlns:c='jabber:client'><c:a/><error/></stream >".encode(),
         ["open", "a", f"{{{STREAMS}}}error", "closed"]),
    Case("streams as the default namespace, and none for the content",
         f"<stream xmlns='{STREAMS}'><a xmlns='jabber:client'/><error/></stream>".encode(),
         ["open", "a", f"{{{STREAMS}}}error", "closed"]),
]  # fmt: skip

REFUSED = [
    stanza("a comment", "<message><!-- x --><body/></message>", "!restricted-xml"),
    stanza("a processing instruction", "<message><?php x ?></message>", "!restricted-xml"),
    stanza("a DOCTYPE in a stanza", "<message><!DOCTYPE x></message>", "!restricted-xml"),
    stanza("an end tag in a comment", "<message><!-- </message> --></message>", "!restricted-xml"),
    stanza("an end tag in an instruction", "<a><?x </a>?></a>", "!restricted-xml"),
    stanza("a comment between stanzas", "<a/><!-- x -->", "a=<a/>", "!restricted-xml"),
    stanza("an instruction between stanzas", "<a/><?x ?>", "a=<a/>", "!restricted-xml"),
    stanza("a declaration between stanzas", "<?xml version='1.0'?>", "!restricted-xml"),
    stanza("a DOCTYPE between stanzas", "<!DOCTYPE x>", "!restricted-xml"),
    stanza("an entity of one's own", "<message><body>&foo;</body></message>", "!restricted-xml"),
    stanza("an entity in an attribute", "<message a='&foo;'/>", "!restricted-xml"),
    stanza("text between stanzas", "<a/>junk<a/>", "a=<a/>", "!bad-format"),
    stanza("CDATA between stanzas", "<a/><![CDATA[x]]>", "a=<a/>", "!bad-format"),
    stanza("a reference between stanzas", "&#32;<a/>", "!bad-format"),
    stanza("an unbound prefix", "<message><x:y/></message>", "!not-well-formed"),
    stanza("an unbound prefix on an attribute", "<message x:y='1'/>", "!not-well-formed"),
    stanza("an unbound prefix outside", "<c:message/>", "!not-well-formed"),
    stanza("an attribute twice", "<message to='a' to='b'/>", "!not-well-formed"),
    stanza("an attribute twice, by namespace",
           "<message xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>", "!not-well-formed"),
    stanza("'<' in an attribute", "<message to='<a'/>", "!not-well-formed"),
    stanza("'<' in a tag", "<message <body/>", "!not-well-formed"),
    stanza("a missing quote", "<message to='abc><body>it</body></message>", "!not-well-formed"),
    stanza("an attribute without quotes", "<message to=a/>", "!not-well-formed"),
    stanza("a control character", "<message><body>\x01</body></message>", "!not-well-formed"),
    stanza("a reference to one", "<message><body>&#1;</body></message>", "!not-well-formed"),
    stanza("a bare '&'", "<message><body>a & b</body></message>", "!not-well-formed"),
    stanza("']]>' in text", "<message><body>]]></body></message>", "!not-well-formed"),
    stanza("the wrong end tag", "<message><body></message>", "!not-well-formed"),
    stanza("the wrong end tag outside", "<message></iq>", "!not-well-formed"),
    stanza("an end tag too many", "<presence/></presence>", "presence=<presence/>",
           "!not-well-formed"),
    stanza("an end tag too many, later", "<a></a ></a>", "a=<a></a >", "!not-well-formed"),
    stanza("the end of the stream in a stanza", "<message></stream:stream>", "!not-well-formed"),
    stanza("another name ends the stream", "</stream>", "!not-well-formed"),
    stanza("no name", "< a/>", "!not-well-formed"),
    stanza("a namespace that would end too early", "<a xmlns='jabber:client}x'/>",
           "!not-well-formed"),
    stanza("the prefix xml for another namespace", "<a xmlns:xml='u'/>", "!not-well-formed"),
    stanza("a prefix for nothing", "<a xmlns:x=''/>", "!not-well-formed"),
    Case("bytes that are not UTF-8", HEADER + b"<a><b>\xff\xfe</b></a>",
         ["open", "!not-well-formed"]),
    Case("overlong UTF-8", HEADER + b"<a>\xc0\xbc</a>", ["open", "!not-well-formed"]),
    Case("a torn character", HEADER + b"<a>\xf0\x9f</a>", ["open", "!not-well-formed"]),
    stanza("33 levels", "<a>" + "<b>" * 32 + "</b>" * 32 + "</a>", "!policy-violation"),
    stanza("33 levels, the last one empty", "<a>" + "<b>" * 31 + "<b/>" + "</b>" * 31 + "</a>",
           "!policy-violation"),
    stanza("10,000 levels", "<a>" * 10_000, "!policy-violation"),
    stanza("17 attributes", "<a " + " ".join(f"b{n}=''" for n in range(17)) + "/>",
           "!policy-violation"),
    stanza("17 declarations", "<a><b " + " ".join(f"xmlns:b{n}='u'" for n in range(17)) + "/></a>",
           "!policy-violation"),
    stanza("a tag that is too long", "<a b='" + "x" * 20_000 + "'/>", "!policy-violation"),
    stanza("it, inside", "<a><b c='" + "x" * 20_000 + "'/></a>", "!policy-violation"),
    stanza("a long reference", "<a>&#" + "0" * 20_000 + "38;</a>", "!policy-violation"),
    stanza("a tag without end", "<a" + " " * 20_000, "!policy-violation"),
    stanza("an end tag without end", "</stream:stream" + " " * 9000, "!policy-violation"),
    stanza("a long stanza", "<a>" + "x" * 20_000 + "</a>", "!policy-violation"),
    stanza("a long stanza of little things", "<a>" + "<b/>" * 5000 + "</a>", "!policy-violation"),
]  # fmt: skip

HEADERS = [
    header("no declaration", OPEN, "open"),
    header("a byte order mark", b"\xef\xbb\xbf" + HEADER, "open"),
    header("a whole declaration",
           f"<?xml version=\"1.0\"  encoding='utf-8' standalone='yes' ?>\n{OPEN}", "open"),
    header("white space in front", " \n" + OPEN, "open"),
    header("a stream of something else", "<foo bar='1'>", "open"),
    header("a DOCTYPE", "<!DOCTYPE s>" + OPEN, "!restricted-xml"),
    header("a billion laughs",
           "<?xml version='1.0'?><!DOCTYPE s [<!ENTITY a 'ha'>]>" + OPEN, "!restricted-xml"),
    header("a comment", "<!-- x -->" + OPEN, "!restricted-xml"),
    header("an instruction", "<?xml-stylesheet href='x'?>" + OPEN, "!restricted-xml"),
    header("an instruction behind the declaration", "<?xml version='1.0'?><?x?>" + OPEN,
           "!restricted-xml"),
    header("an entity in the header", OPEN[:-1] + " to='&foo;'>", "!restricted-xml"),
    header("Latin-1", "<?xml version='1.0' encoding='ISO-8859-1'?>" + OPEN,
           "!unsupported-encoding"),
    header("UTF-16", OPEN.encode("utf-16"), "!unsupported-encoding"),
    header("UTF-16 without a mark", OPEN.encode("utf-16-be"), "!unsupported-encoding"),
    header("UTF-32", OPEN.encode("utf-32-be"), "!unsupported-encoding"),
    header("XML 1.1", "<?xml version='1.1'?>" + OPEN, "!not-well-formed"),
    header("a wrong declaration", "<?xml encoding='UTF-8'?>" + OPEN, "!not-well-formed"),
    header("another protocol", "GET / HTTP/1.1\r\n\r\n", "!not-well-formed"),
    header("an end tag", "</stream:stream>", "!not-well-formed"),
    header("an attribute twice", OPEN[:-1] + " to='a' to='b'>", "!not-well-formed"),
    header("'<' in the header", OPEN[:-1] + "<a/>", "!not-well-formed"),
    header("an unbound prefix", "<stream:stream xmlns='jabber:client'>", "!bad-namespace-prefix"),
    header("the prefix xml bound again", OPEN[:-1] + " xmlns:xml='u'>", "!bad-namespace-prefix"),
    header("a prefix for nothing", OPEN[:-1] + " xmlns:x=''>", "!bad-namespace-prefix"),
    header("a namespace that XML keeps for itself",
           OPEN[:-1] + " xmlns:x='http://www.w3.org/2000/xmlns/'>", "!invalid-namespace"),
    header("the stream header closes the stream at once", OPEN[:-1] + "/>", "!bad-format"),
    header("a header without end", OPEN[:-1] + " " * 9000, "!policy-violation"),
    header("a declaration without end", "<?xml " + " " * 9000, "!policy-violation"),
    header("a long header", OPEN[:-1] + " to='" + "a" * 9000 + "'>", "!policy-violation"),
    header("17 attributes in the header",
           OPEN[:-1] + " ".join(f" a{n}=''" for n in range(15)) + ">", "!policy-violation"),
]  # fmt: skip

CASES = HEADERS + ORDINARY + WITHOUT_SENDER + WRITTEN_AGAIN + REFUSED
