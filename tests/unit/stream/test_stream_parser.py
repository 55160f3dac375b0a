"""StreamParser."""

import contextlib
import gc
import resource
import time
from dataclasses import replace
from pathlib import Path
from xml.etree.ElementTree import tostring

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.stream.stream_cases import (
    CASES,
    END,
    HEADER,
    LIMITS,
    STREAMS,
    bytewise,
    hear,
)
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stream import content
from xmppd.stream.element_parser import MAX_FED_BYTES
from xmppd.stream.stream_header import MAX_STREAM_TAG_BYTES, canonical
from xmppd.stream.stream_parser import (
    MAX_READ_AHEAD_BYTES,
    ParserLimits,
    Received,
    StreamClosed,
    StreamOpened,
    StreamParser,
)

LARGE = ParserLimits(max_stanza_bytes=256 << 10, max_depth=64, max_attributes=64)


def opened(limits: ParserLimits = LIMITS, header: bytes = HEADER) -> StreamParser:
    """A parser that has read the header."""
    parser = StreamParser(limits)
    parser.feed(header)
    parser.next()
    return parser


def resident_bytes() -> int:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


class Case(SynchronousTestCase):
    def received(self, parser: StreamParser, data: bytes = b"") -> Received:
        """The element that comes next."""
        parser.feed(data)
        event = parser.next()
        assert isinstance(event, Received)
        return event

    def refused(self, parser: StreamParser, data: bytes = b"") -> StreamCondition:
        """The condition of the error that comes next."""
        with self.assertRaises(StreamError) as caught:
            parser.feed(data)
            parser.next()
        condition: StreamCondition = caught.exception.condition
        return condition


class StreamTests(Case):
    def test_names(self) -> None:
        """No two cases say the same."""
        said = [case.says + case.data.decode("latin-1") for case in CASES]
        self.assertEqual(len(set(said)), len(said))

    def test_header(self) -> None:
        """The header says who speaks to whom, in which namespace and with which prefixes."""
        parser = StreamParser(LIMITS)
        parser.feed(
            b"<?xml version='1.0'?><stream:stream xmlns='jabber:server' xml:lang='en' to='a&amp;b' "
            b"xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'>"
        )
        self.assertEqual(
            parser.next(),
            StreamOpened(
                tag=f"{{{STREAMS}}}stream",
                namespace="jabber:server",
                attributes={"to": "a&b", "{http://www.w3.org/XML/1998/namespace}lang": "en"},
                prefixes={"stream": STREAMS, "db": "jabber:server:dialback"},
            ),
        )

    def test_default_namespace(self) -> None:
        """The header says which namespace is the default one, if any is."""
        for declarations, namespace in (
            ("xmlns='jabber:client'", "jabber:client"),
            ("xmlns='u' xmlns:c='jabber:client'", "u"),
            (f"xmlns='{STREAMS}'", STREAMS),
            ("xmlns:c='jabber:client'", ""),
            ("", ""),
        ):
            with self.subTest(declarations):
                parser = StreamParser(LIMITS)
                parser.feed(f"<s:stream xmlns:s='{STREAMS}' {declarations}>".encode())
                event = parser.next()
                assert isinstance(event, StreamOpened)
                self.assertEqual(event.namespace, namespace)

    def test_odd_namespaces(self) -> None:
        """Namespaces with characters that must be escaped are taken over into the inner header."""
        parser = StreamParser(LIMITS, 'a&<"')
        parser.feed(b"<s xmlns='a&amp;&lt;&quot;' xmlns:p='&apos;&#10;&gt;'><p:a><b/></p:a>")
        parser.next()
        event = self.received(parser)
        self.assertEqual((event.tree.tag, event.tree[0].tag), ("{'\n>}a", '{a&<"}b'))
        declared = self.received(parser, b"<b xmlns='a&amp;&lt;&quot;'/>")
        self.assertEqual((declared.tree.tag, declared.raw), ("b", None))

    def test_trees(self) -> None:
        """Names of the content namespace carry none; text and attributes are as sent."""
        data = (
            "<message to='a&amp;b'><body>x &lt; ὰ</body><f xmlns='u'>1<message "
            "xmlns='jabber:client'><body/></message>2<n xmlns=''/></f></message>"
        ).encode()
        whole = self.received(opened(), data).tree
        parser = opened()
        for piece in bytewise(data[:-1]):
            parser.feed(piece)
            self.assertIs(parser.next(), None)
        slow = self.received(parser, data[-1:]).tree
        for tree in (whole, slow):
            self.assertEqual(
                [element.tag for element in tree.iter()],
                ["message", "body", "{u}f", "{jabber:client}message", "{jabber:client}body", "n"],
            )
            self.assertEqual(tree.get("to"), "a&b")
            self.assertEqual(tree.findtext("body"), "x < ὰ")
        self.assertEqual(tostring(whole), tostring(slow))

    def test_many_streams(self) -> None:
        """Streams that share parsers, each in the midst of a stanza, do not mix their words."""
        parsers = [opened() for _ in range(100)]
        for number, parser in enumerate(parsers):
            parser.feed(b"<message><body>%d" % number)
            self.assertIs(parser.next(), None)
        for number, parser in enumerate(parsers):
            event = self.received(parser, b"</body></message>")
            self.assertEqual(event.tree.findtext("body"), str(number))
        self.assertLessEqual(len(content._shared_pool), content.MAX_IDLE_PARSERS)


class TurnTests(Case):
    """One event at a time."""

    def test_not_beyond(self) -> None:
        """What follows an element is not looked at before it is asked for."""
        parser = opened()
        parser.feed(b"<a></a><!-- wrong -->")
        self.assertEqual(self.received(parser).raw, b"<a></a>")
        self.assertEqual(self.refused(parser), StreamCondition.RESTRICTED_XML)

    def test_restart(self) -> None:
        """Behind an element a new header may come in the same bytes, with other namespaces."""
        auth = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AA==</auth>"
        server = HEADER.replace(b"jabber:client", b"jabber:server")
        parser = opened()
        parser.feed(auth + b"\n" + server + b"<auth><b xmlns='jabber:client'/></auth>" + END)
        self.received(parser)
        parser.restart()
        self.assertIsInstance(parser.next(), StreamOpened)
        self.assertEqual(
            [element.tag for element in self.received(parser).tree.iter()],
            ["{jabber:server}auth", "{jabber:client}b"],
        )
        self.assertEqual(parser.next(), StreamClosed())

    def test_restart_within(self) -> None:
        """What was read of an element too early is read again as a header."""
        parser = opened()
        parser.feed(b"<auth/><stream:stream xml")
        self.received(parser)
        self.assertIs(parser.next(), None)
        parser.restart()
        parser.feed(b"ns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'><a/>")
        self.assertIsInstance(parser.next(), StreamOpened)
        self.assertEqual(self.received(parser).raw, b"<a/>")

    def test_restart_needs_a_header(self) -> None:
        """After a restart a stanza is no header of a stream that we know."""
        parser = opened()
        parser.restart()
        parser.feed(b"<message/>")
        self.assertEqual(self.refused(parser), StreamCondition.BAD_FORMAT)

    def test_unread(self) -> None:
        """Bytes behind <starttls/> are told, keep-alives are not."""
        starttls = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
        for behind, unread in (
            (b"", False),
            (b" \r\n", False),
            (b"<", True),
            (b"  <iq", True),
            (b"x", True),
        ):
            with self.subTest(behind):
                parser = opened()
                self.received(parser, starttls + behind)
                self.assertEqual(parser.unread, unread)

    def test_whole(self) -> None:
        """A simple element that came apart from others is read at once; others have to be fed."""
        many = b"<iq>" + b"<a/>" * 200 + b"</iq>"
        for data, simple in (
            (b"<iq id='1'/>", True),
            (b"<iq><a xmlns='u'/></iq>", True),
            (many, True),
            (b"<iq><iq/></iq>", False),
            (b"<iq/><iq/>", False),
            (b"<iq></iq> ", False),
            (b"<iq><a></iq>", False),
            (b"<iq><![CDATA[a]]></iq>", False),
            (b"<iq>\xff</iq>", False),
            (b"<iq>", False),
            (b"<iq>" + b"<a>" * 64 + b"</a>" * 64 + b"</iq>", False),
        ):
            with self.subTest(data):
                parser = opened(LARGE)
                whole = parser.whole(data, b"iq")
                self.assertEqual(whole is not None, simple)
                self.assertFalse(parser.unread)
                if whole is not None:
                    fed = self.received(parser, data)
                    self.assertEqual(
                        (whole.raw, tostring(whole.tree)), (fed.raw, tostring(fed.tree))
                    )

    def test_unread_half(self) -> None:
        """An element of which only some was read is unread too."""
        parser = opened()
        parser.feed(b"<iq>")
        self.assertIs(parser.next(), None)
        self.assertTrue(parser.unread)

    def test_deaf_after_an_error(self) -> None:
        """Nothing that follows a mistake is heard, whatever it looks like."""
        parser = opened()
        self.assertEqual(self.refused(parser, b"<a></b><c/>"), StreamCondition.NOT_WELL_FORMED)
        parser.feed(b"<message/>")
        self.assertIs(parser.next(), None)
        self.assertFalse(parser.unread)
        self.assertEqual(self.received(opened(), b"<message/>").raw, b"<message/>")

    def test_deaf_after_the_end(self) -> None:
        """Nothing is heard behind the end of the stream."""
        parser = opened()
        parser.feed(END)
        self.assertEqual(parser.next(), StreamClosed())
        parser.feed(b"<message/>")
        self.assertIs(parser.next(), None)

    def test_end_with_the_prefix_of_the_header(self) -> None:
        """The stream ends with the name it began with, and no other."""
        header = (
            f"<s:stream xmlns:s='{STREAMS}' xmlns:t='{STREAMS}' xmlns='jabber:client'>".encode()
        )
        self.assertEqual(hear([header, b"</s:stream>"]), ["open", "closed"])
        self.assertEqual(hear([header, b"</t:stream>"]), ["open", "!not-well-formed"])


class LimitTests(Case):
    """How much a stream may send."""

    def test_stanza_at_the_limit(self) -> None:
        """A stanza of just the permitted size passes, with one byte more it does not."""
        limits = replace(LIMITS, max_stanza_bytes=100)
        for inner in (b"x", b"<b/><c/>x"):
            fits = b"<a>" + inner.ljust(93, b"x") + b"</a>"
            for pieces in ([HEADER, fits], [HEADER, *bytewise(fits)]):
                self.assertEqual(hear(pieces, limits), ["open", "a=" + fits.decode()])
            more = [HEADER, fits[:-4] + b"x" + fits[-4:]]
            self.assertEqual(hear(more, limits), ["open", "!policy-violation"])

    def test_many_stanzas_in_one_read(self) -> None:
        """The limit is that of each stanza, not of what comes in one read."""
        limits = replace(LIMITS, max_stanza_bytes=100)
        self.assertEqual(len(hear([HEADER + b"<a>x</a>" * 10_000], limits)), 10_001)

    def test_raised(self) -> None:
        """Higher limits hold from the next stanza on."""
        parser = opened(replace(LIMITS, max_stanza_bytes=10, max_depth=1))
        parser.limits = LIMITS
        long = b"<a><b><c>xxxxxxxxxxxxx</c></b></a>"
        self.assertEqual(self.received(parser, long).raw, long)
        self.assertEqual(parser.limits, LIMITS)

    def test_tag_at_the_limit(self) -> None:
        """A tag may be as long as a stanza, alone, inside of one, and torn."""
        for size, heard in ((20_000, "a"), (20_001, "!policy-violation")):
            for begin, end in ((b"<a b='", b"'/>"), (b"<a><b c='", b"'/></a>"),
                               (b"<a><![CDATA[]]><b c='", b"'></b></a>")):  # fmt: skip
                data = begin + b"x" * (size - len(begin) - len(end)) + end
                for pieces in ([data], [data[:-9], data[-9:]], [data[:9], data[9:]]):
                    (opens, event) = hear([HEADER, *pieces])
                    self.assertEqual((opens, event.partition("=")[0]), ("open", heard))

    def test_stream_tags_at_the_limit(self) -> None:
        """The tags that begin and end a stream are small, whatever its stanzas may be."""
        most = MAX_STREAM_TAG_BYTES
        for more, heard in ((0, "open"), (1, "!policy-violation")):
            header = HEADER[:-1].ljust(most + more - 1) + b">"
            for pieces in ([header], [header[:-1], header[-1:]]):
                self.assertEqual(hear(pieces, LARGE), [heard])
        for more, heard in ((0, "closed"), (1, "!policy-violation")):
            end = END[:-1].ljust(most + more - 1) + b">"
            for pieces in ([end], [end[:-1], end[-1:]]):
                self.assertEqual(hear([HEADER, *pieces], LARGE), ["open", heard])

    def test_read_ahead(self) -> None:
        """While nobody asks for events, only so many bytes are kept."""
        parser = opened(LIMITS)
        parser.feed(b"<a/>")
        size = LIMITS.max_stanza_bytes + MAX_READ_AHEAD_BYTES - len(b"<a/>")
        parser.feed(b" " * size)
        with self.assertRaises(StreamError) as caught:
            parser.feed(b" ")
        self.assertEqual(caught.exception.condition, StreamCondition.POLICY_VIOLATION)

    def test_other_limits(self) -> None:
        """Depth and attributes are counted in a short stanza as in a long one."""
        for limits in (replace(LIMITS, max_depth=2), replace(LIMITS, max_attributes=1)):
            for padding in ("", "x" * 10_000):
                data = f"<a><b c='=' d='='><e/>{padding}</b></a>".encode()
                with self.subTest(limits=limits, size=len(data)):
                    parser = opened()
                    parser.limits = limits
                    self.assertEqual(self.refused(parser, data), StreamCondition.POLICY_VIOLATION)
                    self.assertEqual(self.received(opened(), data).tree.tag, "a")


class CostTests(Case):
    """What a hostile stream costs: time grows with what it sends, memory comes back."""

    def slowly(self, data: bytes, limit_s: float) -> Received:
        """Hear an element byte by byte, in so much CPU time."""
        parser = opened(LARGE)
        begun = time.process_time()
        for piece in bytewise(data[:-1]):
            parser.feed(piece)
            self.assertIs(parser.next(), None)
        event = self.received(parser, data[-1:])
        self.assertLess(time.process_time() - begun, limit_s)
        return event

    def test_stanza_byte_by_byte(self) -> None:
        """A stanza of 256 KiB may come byte by byte, as text, as CDATA or as many elements."""
        size = 256 << 10
        for begin, filling, end in (
            (b"<a><b>", b"x", b"</b></a>"),
            (b"<a><![CDATA[", b"x]]", b"]]></a>"),
            (b"<a>", b"<b c='d'/>", b"</a>"),
        ):
            room = size - len(begin) - len(end)
            data = begin + filling * (room // len(filling)) + end
            with self.subTest(begin):
                self.assertEqual(self.slowly(data, 2.5).tree.tag, "a")

    def test_tag_byte_by_byte(self) -> None:
        """A tag, or a reference, of 256 KiB may come byte by byte."""
        size = 256 << 10
        for begin, filling, end in (
            (b"<a b='", b"x", b"'/>"),
            (b"<a b='>' c='", b"/", b"'/>"),
            (b"<a", b" ", b"/>"),
            (b"<a>&#", b"0", b"38;</a>"),
        ):
            data = begin + filling * (size - len(begin) - len(end)) + end
            with self.subTest(begin):
                self.slowly(data, 2.5)

    def test_hostile_tags_at_once(self) -> None:
        """No tag, however it is made, takes long to find torn, or made of too many attributes."""
        for filling in (b"''", b" ", b"'' ", b'""a', b"a=''", b"'\"'", b"a"):
            data = b"<a " + filling * (260_000 // len(filling))
            with self.subTest(filling):
                parser = opened(LARGE)
                parser.feed(data)
                begun = time.process_time()
                with contextlib.suppress(StreamError):
                    self.assertIs(parser.next(), None)
                self.assertLess(time.process_time() - begun, 0.05)

    def test_keep_alives(self) -> None:
        """20 MB of white space on one stream leave nothing behind."""
        parser = opened()
        chunk = b" \n" * 5000
        before = resident_bytes()
        for _ in range(2000):
            parser.feed(chunk)
            self.assertIs(parser.next(), None)
        self.assertLess(resident_bytes() - before, 1 << 20)
        self.assertFalse(parser.unread)
        self.assertEqual(self.received(parser, b" <a/>").raw, b"<a/>")

    def test_stanzas(self) -> None:
        """20,000 stanzas on one stream leave nothing behind."""
        parser = opened()
        stanza = b"<message to='a'><body>Hello</body></message>"
        for _ in range(2000):
            self.received(parser, stanza)
        before = resident_bytes()
        for _ in range(20_000):
            self.received(parser, stanza)
        self.assertLess(resident_bytes() - before, 1 << 20)

    def test_names_are_forgotten(self) -> None:
        """Expat keeps every name it saw; 8 MB of them are gone when their parsers are."""
        self.flood(0, 20)
        before = resident_bytes()
        self.flood(20, 80)
        self.assertLess(resident_bytes() - before, 24 << 20)

    def flood(self, begin: int, end: int) -> None:
        """Send 100 KB of unique names on each of so many streams."""
        for stream in range(begin, end):
            parser = opened()
            for number in range(100):
                names = (b"n%d-%d-%d-%b" % (stream, number, n, b"x" * 80) for n in range(10))
                self.received(parser, b"<a>%b</a>" % b"".join(b"<%b/>" % name for name in names))
        gc.collect()

    def test_deep_tree_is_let_go(self) -> None:
        """80,000 levels are read and let go without recursion."""
        limits = ParserLimits(max_stanza_bytes=1 << 20, max_depth=100_000, max_attributes=8)
        data = b"<a>" + b"<b>" * 80_000 + b"</b>" * 80_000 + b"</a>"
        event = self.received(opened(limits), data)
        self.assertEqual(event.raw, data)
        del event
        parser = opened(limits)
        parser.feed(data[:100_000])
        self.assertIs(parser.next(), None)


class PoolTests(Case):
    """Parsers are shared, and not for ever."""

    def test_idle_stream_has_none(self) -> None:
        """Between stanzas no stream holds a parser."""
        content._shared_pool._idle.clear()
        parsers = [opened() for _ in range(5)]
        for parser in parsers:
            self.received(parser, b"<a/>")
        self.assertEqual(len(content._shared_pool), 1)

    def test_bounded(self) -> None:
        """Many streams in the midst of a stanza leave only so many parsers."""
        parsers = [opened() for _ in range(content.MAX_IDLE_PARSERS + 5)]
        for parser in parsers:
            parser.feed(b"<a>")
            self.assertIs(parser.next(), None)
        for parser in parsers:
            self.received(parser, b"</a>")
        self.assertEqual(len(content._shared_pool), content.MAX_IDLE_PARSERS)

    def test_worn_out(self) -> None:
        """A parser that was given 64 KiB is not kept."""
        pool = content._shared_pool
        for limits, stanza in ((LARGE, b"<a>%b</a>"), (LARGE, b"<a><![CDATA[]]>%b</a>")):
            pool._idle.clear()
            self.received(opened(limits), stanza % (b"x" * (MAX_FED_BYTES // 2)))
            self.assertEqual(len(pool), 1)
            self.received(opened(limits), stanza % (b"x" * (MAX_FED_BYTES // 2)))
            self.assertEqual(len(pool), 0)

    def test_odd_streams_keep_none(self) -> None:
        """A stream with a header of its own keeps no parser, nor the names that it has read."""
        parser = StreamParser(LARGE)
        parser.feed(HEADER[:-1] + b" xmlns:odd='odd'>")
        self.assertIsInstance(parser.next(), StreamOpened)
        for number in range(3):
            self.received(parser, b"<a><name-%d/></a>" % number)
        assert parser._content is not None
        self.assertEqual(len(parser._content.pool), 0)

    def test_never_after_an_error(self) -> None:
        """A parser that raised is not kept."""
        for data in (b"<a>&</a>", b"<a><b></a>", b"<a>&foo;"):
            content._shared_pool._idle.clear()
            self.refused(opened(), data)
            self.assertEqual(len(content._shared_pool), 0)

    def test_torn_characters_stay_at_home(self) -> None:
        """A character torn by the end of its element is refused, and reaches no other stream."""
        for data in (
            b"<a\xf0/>",
            b"<a>x</a\xe0>",
            b"<a><b/></a\xf0\x90>",
            b"<message><![CDATA[x]]></message\xe2>",
            "<a>\u00e9</a>".encode() + b"<b></b\xc3>",
        ):
            for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
                content._shared_pool._idle.clear()
                stream = opened()
                conditions = []
                for piece in pieces:
                    try:
                        stream.feed(piece)
                        while stream.next() is not None:
                            conditions.append("heard")
                    except StreamError as error:
                        conditions.append(error.condition.value)
                self.assertEqual(conditions[-1:], ["not-well-formed"], data)
                for _ in range(2):
                    other = self.received(opened(), b"<message><body>hi</body></message>")
                    self.assertEqual(other.tree.findtext("body"), "hi")

    def test_canonical_header(self) -> None:
        """The header behind which shared parsers stand declares no default namespace."""
        for header, declared in (
            (canonical({"stream": "u"}), b'xmlns:stream="u"'),
            (canonical({}, "u&"), b'xmlns="u&amp;"'),
        ):
            self.assertEqual(header.partition(b" ")[2], declared + b">")

    def test_nobody_can_end_what_streams_share(self) -> None:
        """The element around all that a parser reads has a name that no peer can close."""
        name = canonical({}).decode()[1:-1]
        for guess in ("stream", "stream:stream", "s", name, name[1:]):
            for data in (
                f"<{guess}/></{guess}>",
                f"<{guess}></{guess}></{guess}>",
                f"<{guess}/> </{guess} \n>",
                f"<{guess} a='1'/></{guess}>",
                f"<a></{guess}>",
                f"<a/></{guess}>",
                f"<a><b/></{guess}></a>",
                f"<a><![CDATA[]]></a></{guess}>",
                f"<a xmlns:stream='u'><stream:stream/></{guess}>",
            ):
                for pieces in ([data.encode()], bytewise(data.encode())):
                    with self.subTest(data):
                        content._shared_pool._idle.clear()
                        hear([HEADER, *pieces])
                        other = opened()
                        other.feed(b"<message><body>to")
                        self.assertIs(other.next(), None)
                        event = self.received(other, b"rn</body></message>")
                        self.assertEqual(event.tree.findtext("body"), "torn")
