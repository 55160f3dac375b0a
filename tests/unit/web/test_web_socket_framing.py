"""WebSocketFraming: each message is one element."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.unit.stream import framing_contract
from tests.unit.stream.stream_cases import HEADER, LIMITS, hear
from xmppd.stanza.error import StreamCondition, StreamError
from xmppd.stream.stream_parser import MAX_READ_AHEAD_BYTES, Received, StreamClosed
from xmppd.web.content_namespace import inward, outward, undone
from xmppd.web.web_socket_framing import FRAMING, WEB_SOCKET

OPEN = f"<open xmlns='{FRAMING}' to='montague.lit' version='1.0'/>".encode()
CLOSE = f"<close xmlns='{FRAMING}'/>".encode()
MESSAGE = b"<message xmlns='jabber:client' to='a@b'><body>x</body></message>"


class WebSocketFramingTests(framing_contract.FramingContract):
    framing = WEB_SOCKET
    cases = ()

    def test_as_over_tcp(self) -> None:
        """A stanza that declares its namespace is spliced as if it did not (WS-2)."""
        for message, heard in (
            (MESSAGE, "message=<message to='a@b'><body>x</body></message>"),
            (b'<message to="a@b" xmlns="jabber:client"/>', 'message=<message to="a@b"/>'),
            (b"<iq id='1' xmlns='jabber:client' type='get'/>", "iq=<iq id='1' type='get'/>"),
            (b"<presence xmlns='jabber:client'/>", "presence=<presence/>"),
            (b"<presence/>", "presence=<presence/>"),
        ):
            with self.subTest(message=message):
                self.assertEqual(self.words([OPEN, message]), ["open", heard])

    def test_less_ordinary(self) -> None:
        """What is written otherwise is heard as well, and is written anew when it is passed on."""
        for message, tag in (
            (b"<message xmlns = 'jabber:client'/>", "message"),
            (b"<c:message xmlns:c='jabber:client'/>", "message"),
            (b"<message xmlns='jabber:&#99;lient'/>", "message"),
            (b"<message xmlns='urn:other'/>", "{urn:other}message"),
            (b"<r xmlns='urn:xmpp:sm:3'/>", "{urn:xmpp:sm:3}r"),
        ):
            with self.subTest(message=message):
                self.assertEqual(self.words([OPEN, message]), ["open", tag])

    def test_declared_twice(self) -> None:
        """Two declarations are no XML, though one would be left without the first."""
        twice = MESSAGE.replace(b" to=", b" xmlns='urn:other' to=")
        self.assertEqual(self.words([OPEN, twice]), ["open", "!not-well-formed"])

    def test_one_element(self) -> None:
        """A message is one element and all of it, or the stream ends (WS-5)."""
        for message in (
            MESSAGE + b"<iq xmlns='jabber:client'/>",
            MESSAGE[:-1],
            b"<message xmlns='jabber:client'>",
            MESSAGE + b"</stream:stream>",
            CLOSE + CLOSE,
            OPEN + MESSAGE,
        ):
            with self.subTest(message=message):
                heard = self.words([OPEN, MESSAGE, message, MESSAGE])
                self.assertEqual(len(heard), 3, heard)
                self.assertTrue(heard[2].startswith("!"), heard)

    def test_refused(self) -> None:
        """What is no element at all ends the stream, and what was before it has been heard."""
        for message, condition in (
            (b"words", "bad-format"),
            (b"</stream:stream>", "bad-format"),
            (b"<!DOCTYPE a []>", "restricted-xml"),
            (b"<?xml version='1.0'?>" + MESSAGE, "restricted-xml"),
            (b"<!-- words -->", "restricted-xml"),
            (MESSAGE.replace(b"body", b"\xff"), "not-well-formed"),
        ):
            with self.subTest(message=message):
                heard = self.words([OPEN, MESSAGE, message, MESSAGE])
                self.assertEqual(heard[2:], [f"!{condition}"])

    def test_no_header(self) -> None:
        """A stream begins with <open/>: old clients, which do not, are told."""
        for message in (HEADER, MESSAGE, b"<open/>", OPEN.replace(b"/>", b">"), OPEN + OPEN):
            with self.subTest(message=message):
                self.assertEqual(self.words([message, MESSAGE]), ["!bad-format"])

    def test_blank(self) -> None:
        """An empty message keeps the connection alive, and is nothing else."""
        self.assertEqual(self.words([b"", OPEN, b" ", b"\r\n", CLOSE]), ["open", "closed"])

    def test_blank_among_others(self) -> None:
        """An empty message hides none of those that wait behind it."""
        reader = self.opened()
        for message in (MESSAGE, b"", b" ", MESSAGE, CLOSE):
            reader.feed(message)
        events = [type(event) for event in iter(reader.next, None)]
        self.assertEqual(events, [Received, Received, StreamClosed])

    def test_many_wait(self) -> None:
        """As many bytes may wait as over TCP, and no more, however many messages they are in."""
        reader = self.opened()
        count = (LIMITS.max_stanza_bytes + MAX_READ_AHEAD_BYTES) // 1_000
        for _ in range(count):
            reader.feed(b"x" * 1_000)
        error = self.assertRaises(StreamError, reader.feed, b"x" * 1_000)
        self.assertIs(error.condition, StreamCondition.POLICY_VIOLATION)

    @given(
        st.lists(
            st.sampled_from(
                (b" to='a@b'", b' id="1"', b" xmlns='jabber:client'", b' xmlns="jabber:client"',
                 b" xmlns:x='u'", b" xmlns=''", b" xmlns='u'", b"\n", b" a='>'", b" xmlns ='u'")
            ),
            max_size=5,
        ),
        st.sampled_from((b"/>", b" />", b"><b>x</b></message>", b"><iq xmlns='u'/></message>")),
    )  # fmt: skip
    def test_same_meaning(self, attributes: list[bytes], rest: bytes) -> None:
        """Whatever a start tag looks like: it is heard as if nothing had been taken out of it."""
        message = b"<message" + b"".join(attributes) + rest
        ours = hear([OPEN, message], framing=WEB_SOCKET)
        plain = hear([HEADER + message], LIMITS)
        names = [word.partition("=")[0] for word in ours]
        self.assertEqual(names[1:2], [word.partition("=")[0] for word in plain][1:2])


class NamespaceTests(SynchronousTestCase):
    def test_there_and_back(self) -> None:
        """What is sent can be taken back as it was, and is heard as it was."""
        for element in (*framing_contract.STANZAS, *framing_contract.OTHERS, b"<iqs xmlns='u'/>"):
            self.assertEqual(undone(outward(element)), element)
            self.assertEqual(inward(outward(element)), element)
