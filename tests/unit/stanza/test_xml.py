"""Whatever is written anew means what was read: to plain expat, on every kind of stream."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.odd_stanzas import (
    CLIENT,
    COMPONENT,
    SERVER,
    Meaning,
    meanings,
    odd_element,
    odd_stanza,
)
from tests.unit.stream.stream_reference import cut
from xmppd.stanza import JID, Message, Stanza, escape, ns
from xmppd.stanza.copies import carbon, forwarded
from xmppd.stanza.delay import delayed
from xmppd.stanza.xml import dump, parse, read, write
from xmppd.stream.stanza_intake import KINDS, Language
from xmppd.stream.stream_parser import ParserLimits, Received, StreamParser

LIMITS = ParserLimits(max_stanza_bytes=1 << 20, max_depth=64, max_attributes=64)
ROMEO, JULIET = JID.parse("romeo@montague.lit/o'neil"), JID.parse("juliet@capulet.lit/\u03b2")
randoms = st.randoms(use_true_random=False)


def header(content: str) -> bytes:
    """A stream header of one kind."""
    return f"<stream:stream xmlns='{content}' xmlns:stream='{ns.STREAM}'>".encode()


def taken_in(data: str, random: Random | None = None, content: str = CLIENT) -> Stanza:
    """A stanza of Romeo's, as the server makes it of what comes."""
    parser = StreamParser(LIMITS, content)
    for piece in (header(content), *cut(data.encode(), random or Random(1))):
        parser.feed(piece)
        event = parser.next()
    assert isinstance(event, Received), data
    event.tree.attrib.pop("from", None)
    return Language().typed(KINDS[event.tree.tag], event, ROMEO)


class ForwardingTests(SynchronousTestCase):
    """What a stanza means when it leaves."""

    def check(self, said: Meaning, wire: bytes, content: str = CLIENT) -> None:
        """One stanza from Romeo to Juliet, and the rest of it as it was said."""
        (heard,) = meanings(wire, content)
        self.assertEqual(heard.attributes.get(("", "from")), ROMEO.full)
        self.assertEqual(heard.attributes.get(("", "to")), JULIET.full)
        self.assertEqual(heard.without("from", "to"), said.without("from", "to").on(content))

    @given(randoms, st.sampled_from((CLIENT, SERVER, COMPONENT)), st.booleans())
    def test_on_every_stream(self, random: Random, content: str, own: bool) -> None:
        """As it came or written anew, at once, read back, or in another envelope."""
        data = odd_stanza(random, to=JULIET.full, sender=ROMEO.full if own else None)
        (said,) = meanings(data)
        stanza = taken_in(data, Random(random.random()))
        anew = type(stanza).from_tree(read(stanza.payload.raw), ROMEO).addressed(JULIET)
        head, tail = stanza.around_to()
        for wire in (
            stanza.wire(),
            anew.wire(),
            type(stanza).from_bytes(stanza.wire()).wire(),
            type(anew).from_bytes(anew.wire()).wire(),
            stanza.addressed(JULIET).wire(),
            head + JULIET.wire + tail,
        ):
            self.check(said, wire, content)

    @given(randoms, st.sampled_from((CLIENT, SERVER, COMPONENT)))
    def test_from_every_stream(self, random: Random, content: str) -> None:
        """Also what comes from another server or from a component."""
        data = odd_stanza(random, to=JULIET.full, sender="x@y", content=content)
        (said,) = meanings(data, content)
        self.check(said, taken_in(data, content=content).wire())

    @given(randoms)
    def test_trees(self, random: Random) -> None:
        """The tree of what is kept is that of what came."""
        stanza = taken_in(odd_stanza(random))
        self.assertEqual(write(read(stanza.payload.raw)), write(stanza.payload.tree))

    @given(randoms)
    def test_wrapped(self, random: Random) -> None:
        """In a carbon, and with a stamp."""
        stanza = taken_in(odd_stanza(random, "message", to=JULIET.full))
        assert isinstance(stanza, Message)
        (said,) = meanings(stanza.wire())
        copy = carbon(stanza, forwarded(stanza), "sent", ROMEO.to_bare())
        for wire in (copy.wire(), Message.from_bytes(copy.wire()).wire()):
            (heard,) = meanings(wire)
            inside = next(each for each in heard.all() if each.name == (CLIENT, "message"))
            self.assertEqual(inside, said.quoted())
        (late,) = meanings(delayed(stanza.wire(), "montague.lit", 0.0))
        kept = [each for each in late.content if not _is_delay(each)]
        self.assertEqual(kept, said.content)


def _is_delay(found: str | Meaning) -> bool:
    return isinstance(found, Meaning) and found.attributes.get(("", "stamp")) == (
        "1970-01-01T00:00:00Z"
    )


class WrittenTests(SynchronousTestCase):
    """What is written, to the letter."""

    def anew(self, data: str) -> str:
        """A stanza written from its tree, without an address."""
        return write(taken_in(data).payload.tree).decode()

    def test_xml_attributes(self) -> None:
        """An attribute of the namespace of XML has the prefix xml, which needs no declaration."""
        for name in ("lang", "space", "base", "id", "odd"):
            data = f"<message><x xmlns='urn:x' xml:{name}='v'/></message>"
            self.assertEqual(self.anew(data), data)

    def test_prefixes(self) -> None:
        """Each namespace of an element's attributes has one prefix, whatever their names."""
        self.assertEqual(
            self.anew("<iq xmlns:p='u' xmlns:q='v' p:x='1' q:x='2' p:y='3' x='4' xml:lang=''/>"),
            "<iq xmlns:a1='u' a1:x='1' xmlns:a2='v' a2:x='2' a1:y='3' x='4' xml:lang=''/>",
        )

    def test_no_namespace(self) -> None:
        """What is in no namespace stays there, wherever it stands."""
        for data in (
            "<message><x xmlns='urn:x'><y xmlns=''/></x></message>",
            "<message><x xmlns='urn:x'><y xmlns=''><z/></y><z/></x></message>",
            "<message><y xmlns=''><z/></y></message>",
            "<message><y xmlns=''><message xmlns='jabber:client'/></y></message>",
        ):
            self.assertEqual(self.anew(data), data)

    def test_content_namespaces(self) -> None:
        """Only what is content is written without a namespace."""
        for data in (
            "<message><x xmlns='urn:x'><y xmlns='jabber:client'><z/></y></x></message>",
            "<message><x xmlns='urn:x'><y xmlns='jabber:server'/></x></message>",
            "<message><x xmlns='jabber:server'/></message>",
        ):
            self.assertEqual(self.anew(data), data)
        self.assertEqual(
            self.anew("<message><x:x xmlns:x='urn:x'><y/></x:x></message>"),
            "<message><x xmlns='urn:x'><y xmlns='jabber:client'/></x></message>",
        )

    def test_white_space(self) -> None:
        """Tabs and line ends are references where they would be read as something else."""
        self.assertEqual(
            self.anew("<message id='&#9;&#10;&#13;\t '>&#9;&#10;&#13;\t\n</message>"),
            "<message id='&#9;&#10;&#13;  '>\t\n&#13;\t\n</message>",
        )

    def test_no_characters(self) -> None:
        """What is no character of XML cannot come from a stream, and would end one."""
        self.assertEqual(escape("a\x00\x1b\ufffe\uffff\t"), "a" + "\ufffd" * 4 + "&#9;")


class ElementTests(SynchronousTestCase):
    """What a handler reads and answers with."""

    @given(randoms)
    def test_means_the_same(self, random: Random) -> None:
        """Whatever is legal can be read and written again, in any letters and any namespace."""
        data = odd_element(random)
        self.assertEqual(meanings(dump(parse(data.encode()))), meanings(data))

    def test_any_namespace(self) -> None:
        """A namespace that is no URI is one all the same, and excuses nothing else."""
        for data in (
            "<x xmlns='a b'/>",
            "<x xmlns='urn:&lt;'><y xmlns='%'/></x>",
            "<x xmlns='ὰ:'/>",
        ):
            self.assertEqual(meanings(dump(parse(data.encode()))), meanings(data))
        for data in (
            "<x xmlns='a b'><y></x>",
            "<x xmlns='a b' c='1' c='2'/>",
            "<x xmlns=' '/><x/>",
        ):
            self.assertRaises(ValueError, parse, data.encode())
