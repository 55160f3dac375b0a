"""Stanzas: the same bytes for many, and another envelope when it must be."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from xmppd.stanza import (
    IQ,
    JID,
    Condition,
    Message,
    Payload,
    Presence,
    StanzaError,
    child,
    dump,
    element,
    parse,
)
from xmppd.stanza.copy_count import Copies

ROMEO, JULIET = JID.parse("romeo@montague.lit/orchard"), JID.parse("juliet@capulet.lit")
BODY = b"<body>a &lt; b</body>"


class WireTests(SynchronousTestCase):
    def test_sender_and_address(self) -> None:
        """A stanza of ours says from whom it is and for whom."""
        message = Message.make(JULIET, ROMEO, BODY, id="a'b", type="chat")
        self.assertEqual(
            message.wire(),
            b"<message from='romeo@montague.lit/orchard' to='juliet@capulet.lit' type='chat'"
            b" id='a&apos;b'><body>a &lt; b</body></message>",
        )

    def test_address_in_the_bytes(self) -> None:
        """What a client wrote goes on as it came, its sender spliced in."""
        raw = b'<message to="juliet@capulet.lit"  ><body/></message>'
        message = Message(JULIET, ROMEO, None, None, Payload(raw, JULIET))
        self.assertEqual(
            message.wire(),
            b"<message from='romeo@montague.lit/orchard' to=\"juliet@capulet.lit\"  >"
            b"<body/></message>",
        )

    def test_another_envelope(self) -> None:
        """Addressed to somebody else, only the envelope is another."""
        raw = b"<message to='juliet@capulet.lit' type='chat' xml:lang='it'><body>x</body></message>"
        message = Message(JULIET, ROMEO, None, "chat", Payload(raw, JULIET))
        other = message.addressed(ROMEO, JULIET)
        self.assertEqual(
            other.wire(),
            b"<message from='juliet@capulet.lit' to='romeo@montague.lit/orchard' type='chat'"
            b" xml:lang='it'><body>x</body></message>",
        )
        self.assertIs(message.to, JULIET)

    def test_cut_out(self) -> None:
        """A stanza loses its addresses, and all else of it is not written anew."""
        inside = b"<x xmlns='urn:x' to='no' from=\"no\">" + b"<a/>" * 4_096 + b"</x>"
        for head in (
            b"<message to='juliet@capulet.lit' type='chat' xml:lang='it'>",
            b"<message id='to=&apos;a&apos;' \n to = \"juliet@capulet.lit\" type='chat'>",
            b"<message id=\"a to='b'\" x:to='c' xmlns:x='urn:x' to='juliet@capulet.lit'\t>",
            b"<message to='juliet@capulet.lit'>",
            b"<message xto='1' to='juliet@capulet.lit' tox='2'>",
        ):
            tree = ElementTree.fromstring(head + b"</message>")
            message = Message(
                JULIET,
                ROMEO,
                tree.get("id"),
                tree.get("type"),
                Payload(head + inside + b"</message>", JULIET),
            )
            other = message.addressed(ROMEO, JULIET)
            self.assertIn(inside, other.wire())
            kept = Message.from_bytes(message.wire())
            self.assertIn(inside, kept.payload.raw)
            self.assertEqual((kept.to, kept.sender), (JULIET, ROMEO))
            self.assertEqual((kept.id, kept.type), (message.id, message.type))
            for made, to, sender in ((other, ROMEO, JULIET), (kept, JULIET, ROMEO)):
                expected = dict(tree.attrib) | {"to": to.full, "from": sender.full}
                self.assertEqual(ElementTree.fromstring(made.wire()).attrib, expected)

    def test_with_child(self) -> None:
        """A child more stands behind the others, also where there are none; all else stays."""
        for raw in (
            b"<message id='1'/>",
            b"<message id='1'></message>",
            b"<message id='1'></message >",
        ):
            message = Message(None, ROMEO, "1", None, Payload(raw))
            more = message.with_child(BODY).payload.raw.replace(b" >", b">")
            self.assertEqual(more, b"<message id='1'>" + BODY + b"</message>")
        addressed = Message(JULIET, ROMEO, None, None, Payload(b"<message to='x'/>", JULIET))
        addressed.payload.copies = Copies("romeo@montague.lit", 2)
        payload = addressed.with_child(BODY).payload
        self.assertEqual((payload.to, payload.copies), (JULIET, addressed.payload.copies))

    def test_without_children(self) -> None:
        """Children may be left out; without such children it is the same stanza."""
        raw = b"<message to='juliet@capulet.lit' id='1'><a xmlns='urn:a'/>" + BODY + b"</message>"
        message = Message(JULIET, ROMEO, "1", None, Payload(raw, JULIET))
        less = message.without_children(lambda each: each.tag == "{urn:a}a")
        self.assertEqual(
            less.payload.raw, b"<message to='juliet@capulet.lit' id='1'>" + BODY + b"</message>"
        )
        self.assertIs(less.without_children(lambda each: each.tag == "{urn:a}a"), less)
        self.assertEqual(len(message.payload.tree), 2)

    def test_around_to(self) -> None:
        """Head, address and tail are the stanza, for whomever it is."""
        presence = Presence.make(None, ROMEO, b"<show>away</show>")
        head, tail = presence.around_to()
        for jid in (JULIET, JID.parse("x.lit/o'neil <&>")):
            self.assertEqual(head + jid.wire + tail, presence.addressed(jid).wire())

    def test_read_back(self) -> None:
        """What we wrote and kept is the same when it is read again."""
        wire = Message.make(JULIET, ROMEO, BODY, b"<x xmlns='urn:x' a='1'/>", id="1").wire()
        self.assertEqual(Message.from_bytes(wire).wire(), wire)

    def test_namespaced_attributes(self) -> None:
        """A stanza written from its tree keeps attributes with a namespace, and languages."""
        wire = (
            b"<message from='a@b' to='c@d'><x xmlns='urn:x' xmlns:p='urn:p' p:q='1' xml:lang='en'>"
            b"<y xmlns='' z='&quot;'/></x></message>"
        )
        once = Message.from_bytes(wire)
        found = once.xml.find("{urn:x}x")
        assert found is not None
        self.assertEqual(found.get("{urn:p}q"), "1")
        self.assertEqual(found.get("{http://www.w3.org/XML/1998/namespace}lang"), "en")
        self.assertEqual(Message.from_bytes(once.wire()).wire(), once.wire())


class AnswerTests(SynchronousTestCase):
    def test_result(self) -> None:
        """A result goes back where the request came from, with its id."""
        iq = IQ.make(JULIET, ROMEO, b"<q xmlns='urn:q'/>", id="7", type="get")
        self.assertEqual(
            iq.result(element("urn:q", "q", "yes")).wire(),
            b"<iq from='juliet@capulet.lit' to='romeo@montague.lit/orchard' type='result' id='7'>"
            b'<q xmlns="urn:q">yes</q></iq>',
        )

    def test_result_of_the_account(self) -> None:
        """What was asked of nobody in particular is answered by the account (RFC 6120 §10.3.3)."""
        iq = IQ.make(None, ROMEO, b"<q xmlns='urn:q'/>", id="7", type="get")
        self.assertEqual(iq.result().sender.full, "romeo@montague.lit")

    def test_error(self) -> None:
        """An error says what is wrong, of which kind, and in words."""
        message = Message.make(JULIET, ROMEO, BODY, id="7")
        error = StanzaError(
            Condition.FORBIDDEN,
            "not <you>",
            application=("urn:a", "never"),
            attribute=("till", "o'clock"),
        )
        self.assertEqual(
            message.error(error).wire(),
            b"<message from='juliet@capulet.lit' to='romeo@montague.lit/orchard' type='error'"
            b" id='7'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
            b"<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas' xml:lang='en'>not &lt;you&gt;"
            b"</text><never xmlns='urn:a' till='o&apos;clock'/></error></message>",
        )

    def test_no_child(self) -> None:
        """An iq without a child has nothing to ask for."""
        with self.assertRaises(StanzaError):
            _ = IQ.make(JULIET, ROMEO, id="7", type="get").query
        self.assertIs(IQ.make(JULIET, ROMEO, id="7", type="get").query_tag, None)


class PresenceTests(SynchronousTestCase):
    def priority(self, text: str) -> int:
        return Presence.make(None, ROMEO, f"<priority>{text}</priority>".encode()).priority

    def test_priority(self) -> None:
        """A priority is a number from -128 to 127; none is 0."""
        for text, number in (("5", 5), ("-128", -128), ("+127", 127), (" 1 ", 1), ("", 0)):
            self.assertEqual(self.priority(text), number)
        self.assertEqual(Presence.make(None, ROMEO).priority, 0)

    def test_no_priority(self) -> None:
        """Anything else is none."""
        for text in ("128", "-129", "1.5", "high", "1_0", "\u0661", "9" * 5_000):
            with self.assertRaises(ValueError, msg=text):
                self.priority(text)


class ElementTests(SynchronousTestCase):
    def test_build(self) -> None:
        """Children have their parent's namespace, and any attribute, one called name included."""
        query = element("urn:q", "query", node="n")
        child(query, "identity", name="xmppd", type="im")
        self.assertEqual(
            dump(query),
            b'<query xmlns="urn:q" node="n"><identity name="xmppd" type="im"/></query>',
        )

    def test_content_namespace(self) -> None:
        """What belongs to the stream's own namespace is written without any."""
        error = element("", "error", type="cancel")
        child(error, "x")
        self.assertEqual(dump(error), b'<error type="cancel"><x/></error>')

    def test_not_well_formed(self) -> None:
        """What is no element is a ValueError."""
        with self.assertRaises(ValueError):
            parse(b"<a>")
