"""What every framing promises: what is said at one end is heard at the other."""

from collections.abc import Iterable, Sequence

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.stream.stream_cases import LIMITS, Case, hear, mishearings, word
from xmppd.stanza import ns
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stanza.xml import LANG
from xmppd.stream.framing import EventReader, Framing, StreamHeader
from xmppd.stream.stream_parser import ParserLimits, Received, StreamOpened

STANZAS = (
    b"<message to='a@b' id='1'><body>it's &lt;so&gt;</body></message>",
    b"<presence/>",
    b"<iq type='get' id='x'><query xmlns='u'><iq/></query></iq>",
    "<message><body>\U0001f600</body></message>".encode(),
)
OTHERS = (b"<r xmlns='urn:xmpp:sm:3'/>", b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>")


class FramingContract(SynchronousTestCase):
    """Holds for every framing."""

    framing: Framing
    cases: Sequence[Case]

    def reader(self, limits: ParserLimits = LIMITS) -> EventReader:
        """A reader of a client's stream."""
        return self.framing.reader(limits, ns.CLIENT)

    def opened(self, limits: ParserLimits = LIMITS) -> EventReader:
        """A reader that has read a header."""
        reader = self.reader(limits)
        reader.feed(self.header())
        self.assertIsInstance(reader.next(), StreamOpened)
        return reader

    def header(self, sender: str = "montague.lit") -> bytes:
        """What begins a stream."""
        return self.framing.header(StreamHeader(namespace=ns.CLIENT, sender=sender))

    def sent(self, element: bytes) -> bytes:
        """What is sent for an element."""
        made = self.framing.element
        return element if made is None else made(element)

    def words(self, pieces: Iterable[bytes]) -> list[str]:
        """What is heard when these are sent."""
        return hear(pieces, framing=self.framing)

    def test_cases(self) -> None:
        """Every stream of stream_cases is heard as it should be, however it comes."""
        for case in self.cases:
            with self.subTest(case.says):
                self.assertEqual(mishearings(case, self.framing), [])

    def test_header(self) -> None:
        """A header says who speaks to whom, the stream's name, and the language."""
        reader = self.reader()
        reader.feed(
            self.framing.header(
                StreamHeader(
                    namespace=ns.CLIENT, sender="montague.lit", to="o'neil&co@montague.lit",
                    id="1", language="en",
                )
            )
        )  # fmt: skip
        event = reader.next()
        assert isinstance(event, StreamOpened)
        self.assertEqual(
            event.attributes,
            {
                "from": "montague.lit", "to": "o'neil&co@montague.lit", "id": "1",
                "version": "1.0", LANG: "en",
            },
        )  # fmt: skip

    def test_header_with_less(self) -> None:
        """What is not known is not said."""
        reader = self.reader()
        reader.feed(
            self.framing.header(StreamHeader(namespace=ns.CLIENT, sender="a.lit", version=""))
        )
        event = reader.next()
        assert isinstance(event, StreamOpened)
        self.assertEqual(event.attributes, {"from": "a.lit"})

    def test_elements(self) -> None:
        """Elements are heard one by one, and a stanza's bytes are those that were sent."""
        heard = self.words([self.header(), *map(self.sent, STANZAS + OTHERS), self.framing.end])
        names = (b"message", b"presence", b"iq", b"message")
        stanzas = [(b"%b=%b" % pair).decode() for pair in zip(names, STANZAS, strict=True)]
        others = ["{urn:xmpp:sm:3}r", f"{{{ns.SASL}}}success"]
        self.assertEqual(heard, ["open", *stanzas, *others, "closed"])

    def test_features(self) -> None:
        """Features are an element of the streams' namespace, and hold those that are offered."""
        reader = self.opened()
        reader.feed(self.framing.features(b"<bind xmlns='u'/><sm xmlns='v'/>"))
        event = reader.next()
        assert isinstance(event, Received)
        tags = [each.tag for each in event.tree]
        self.assertEqual((event.tree.tag, tags), (f"{{{ns.STREAM}}}features", ["{u}bind", "{v}sm"]))

    def test_error(self) -> None:
        """An error says its condition, a text for people, and what only the two understand."""
        error = StreamError(StreamCondition.CONFLICT, "it's <so>", application="<x xmlns='u'/>")
        reader = self.opened()
        reader.feed(self.framing.error(error))
        event = reader.next()
        assert isinstance(event, Received)
        heard = [(each.tag, each.text) for each in event.tree]
        self.assertEqual(event.tree.tag, f"{{{ns.STREAM}}}error")
        self.assertEqual(
            heard,
            [
                (f"{{{ns.STREAM_ERRORS}}}conflict", None),
                (f"{{{ns.STREAM_ERRORS}}}text", "it's <so>"),
                ("{u}x", None),
            ],
        )

    def test_other_host(self) -> None:
        """An error that sends its peer elsewhere says where (RFC 6120, section 4.9.3.19)."""
        for host in ("b.example.org:5222", "[2001:db8::1]:5222"):
            error = StreamError(StreamCondition.SEE_OTHER_HOST, other_host=host)
            reader = self.opened()
            reader.feed(self.framing.error(error.untraced()))
            event = reader.next()
            assert isinstance(event, Received)
            heard = [(each.tag, each.text) for each in event.tree]
            self.assertEqual(heard, [(f"{{{ns.STREAM_ERRORS}}}see-other-host", host)])

    def test_end(self) -> None:
        """The end is heard, by whoever listens for nothing else as well, and nothing behind it."""
        self.assertEqual(
            self.words([self.header(), self.framing.end, self.sent(b"<presence/>")]),
            ["open", "closed"],
        )
        self.assertTrue(self.framing.is_end(self.framing.end))
        for each in (*STANZAS, *OTHERS):
            self.assertFalse(self.framing.is_end(self.sent(each)))

    def test_begins_anew(self) -> None:
        """A stream begins anew behind what has been read, and what came behind that is kept."""
        reader = self.opened()
        reader.feed(self.sent(STANZAS[0]))
        reader.next()
        self.assertFalse(reader.unread)
        reader.feed(self.header("capulet.lit"))
        self.assertTrue(reader.unread)
        reader.restart()
        event = reader.next()
        assert isinstance(event, StreamOpened)
        self.assertEqual(event.attributes["from"], "capulet.lit")

    def test_limits(self) -> None:
        """What a peer may send is limited, and from when it is known less so."""
        large = b"<message><body>%b</body></message>" % (b"x" * LIMITS.max_stanza_bytes)
        for limits, heard in (
            (LIMITS, "!policy-violation"),
            (ParserLimits(1 << 20, 9, 9), "message"),
        ):
            with self.subTest(heard):
                reader = self.opened()
                reader.limits = limits
                try:
                    reader.feed(self.sent(large))
                    event = reader.next()
                    assert event is not None
                    self.assertEqual(word(event).partition("=")[0], heard)
                except StreamError as error:
                    self.assertEqual("!" + error.condition.value, heard)
