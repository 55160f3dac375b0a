"""Compressed messages of a WebSocket, beside those of another implementation."""

import tracemalloc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import NegotiationError
from websockets.extensions.permessage_deflate import (
    PerMessageDeflate,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.frames import Opcode as TheirOpcode
from websockets.headers import parse_extension

from tests.unit.web.web_case import WebCase
from tests.unit.web.web_socket_client import HANDSHAKE, WebSocketClient
from xmppd.testing.house import House, house_config
from xmppd.testing.web import WebClient
from xmppd.web.message_deflate import (
    MIN_COMPRESSED_BYTES,
    MessageDeflate,
    agreed,
    inflated,
    text_in,
)
from xmppd.web.web_socket import CloseCode, MessageReader, Opcode, WebSocketError

LIMIT = 10_000
LONG = "O Romeo, Romeo! ♥ wherefore art thou Romeo?".encode() * 20

# Something that another implementation does, at either side.
THEIRS = PerMessageDeflate(
    remote_no_context_takeover=True,
    local_no_context_takeover=True,
    remote_max_window_bits=15,
    local_max_window_bits=15,
)


def compressed(message: bytes) -> Frame:
    """A message as the other implementation compresses it."""
    return THEIRS.encode(Frame(TheirOpcode.TEXT, message))


def sent(frame: Frame) -> bytes:
    """The bytes of a client's frame; the library writes no bits that may be wrong by itself."""
    plain = replace(frame, rsv1=False, rsv2=False).serialize(mask=True)
    return bytes([plain[0] | frame.rsv1 << 6 | frame.rsv2 << 5]) + plain[1:]


def read(pieces: Iterable[bytes]) -> list[tuple[Opcode, bytes]]:
    """What is read; the code with which it ends stands at its end."""
    reader = MessageReader(lambda: LIMIT, inflated)
    found: list[tuple[Opcode, bytes]] = []
    try:
        for piece in pieces:
            found.extend(reader.read(piece))
    except WebSocketError as error:
        found.append((Opcode.CLOSE, error.code.to_bytes(2)))
    return found


def their_answer(offers: str) -> int | None:
    """The window that the other implementation agrees to; None if it takes no offer."""
    factory = ServerPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True
    )
    for name, parameters in parse_extension(offers):
        if name == "permessage-deflate":
            try:
                return factory.process_request_params(parameters, [])[1].local_max_window_bits
            except NegotiationError:
                continue
    return None


def asked(header: str) -> int | None:
    """The window of an answer of ours, as the other implementation reads it."""
    for name, parameters in parse_extension(header):
        said = dict(parameters)
        assert name == "permessage-deflate"
        assert "server_no_context_takeover" in said
        assert "client_no_context_takeover" in said
        return int(said.get("server_max_window_bits") or 15)
    return None


class ReadingTests(SynchronousTestCase):
    @given(st.lists(st.text(max_size=400), max_size=6), st.randoms(use_true_random=False))
    def test_theirs(self, texts: Sequence[str], random: Random) -> None:
        """What another implementation compresses is read, beside what it does not, in any pieces
        and parts (WS-12).
        """
        data = b""
        for text in texts:
            whole = Frame(TheirOpcode.TEXT, text.encode())
            whole = THEIRS.encode(whole) if random.random() < 0.7 else whole
            at = random.randrange(len(whole.data) + 1)
            first = Frame(TheirOpcode.TEXT, whole.data[:at], fin=False, rsv1=whole.rsv1)
            data += sent(first) + sent(Frame(TheirOpcode.PING, b""))
            data += sent(Frame(TheirOpcode.CONT, whole.data[at:]))
        step = random.randint(1, 50)
        heard = read(data[at : at + step] for at in range(0, len(data), step))
        self.assertEqual(
            [payload.decode() for opcode, payload in heard if opcode is Opcode.TEXT], list(texts)
        )

    def test_last_block(self) -> None:
        """A message may say which of its blocks is the last (:rfc:`7692#section-7.2.3.4`)."""
        hello = b"\xf3\x48\xcd\xc9\xc9\x07\x00"
        for payload in (hello, hello + b"\x00"):
            frame = Frame(TheirOpcode.TEXT, payload, rsv1=True)
            self.assertEqual(read([sent(frame)]), [(Opcode.TEXT, b"Hello")])

    def test_too_large(self) -> None:
        """However little a message is, no more is made of it than a stanza may have (WS-12)."""
        bomb = sent(compressed(b" " * 5_000_000))
        self.assertLess(len(bomb), LIMIT)
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        self.assertEqual(read([bomb]), [(Opcode.CLOSE, CloseCode.TOO_LARGE.to_bytes(2))])
        self.assertLess(tracemalloc.get_traced_memory()[1], 20 * LIMIT)
        self.assertEqual(read([sent(compressed(b" " * LIMIT))]), [(Opcode.TEXT, b" " * LIMIT)])

    def test_wrong(self) -> None:
        """What is not compressed as it has to be ends with a code; what came before is read."""
        before = Frame(TheirOpcode.TEXT, b"before")
        part = Frame(TheirOpcode.TEXT, b"", fin=False)
        for wrong in (
            [Frame(TheirOpcode.TEXT, b"\xff\xff", rsv1=True)],
            [Frame(TheirOpcode.TEXT, b"\xf3\x48\xcd\xc9\xc9\x07\x00more", rsv1=True)],
            [Frame(TheirOpcode.PING, b"", rsv1=True)],
            [Frame(TheirOpcode.TEXT, b"", rsv1=True, rsv2=True)],
            [part, Frame(TheirOpcode.CONT, b"", rsv1=True)],
        ):
            with self.subTest(wrong=wrong):
                data = b"".join(map(sent, [before, *wrong]))
                code = CloseCode.PROTOCOL_ERROR.to_bytes(2)
                self.assertEqual(read([data]), [(Opcode.TEXT, b"before"), (Opcode.CLOSE, code)])
        torn = sent(compressed(b"\xc3" * 300))
        self.assertEqual(read([torn]), [(Opcode.CLOSE, CloseCode.NOT_UTF8.to_bytes(2))])


class WritingTests(SynchronousTestCase):
    def test_ours(self) -> None:
        """Another implementation reads what is compressed here, by any window; and so do we, who
        may have to take back what did not leave.
        """
        for window_bits in range(9, 16):
            framed = MessageDeflate(window_bits).framed(LONG)
            self.assertLess(len(framed), len(LONG) // 2)
            self.assertEqual(text_in(framed), LONG)
            theirs = PerMessageDeflate(True, True, window_bits, window_bits)
            payload = framed[2 if framed[1] < 126 else 4 :]
            frame = Frame(TheirOpcode.TEXT, payload, rsv1=True)
            self.assertEqual(framed[0], 0xC1)
            self.assertEqual(bytes(theirs.decode(frame).data), LONG)

    def test_not_worth_it(self) -> None:
        """What is short, or would become longer, goes as it is."""
        for message in (LONG[: MIN_COMPRESSED_BYTES - 1], Random(1).randbytes(1_000)):
            framed = MessageDeflate(15).framed(message)
            self.assertEqual(framed[0], 0x81)
            self.assertEqual(text_in(framed), message)


class AgreementTests(SynchronousTestCase):
    def test_alike(self) -> None:
        """Offers are taken, and left, as another implementation does (WS-12)."""
        for offers in (
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; client_max_window_bits=10",
            'permessage-deflate; client_max_window_bits="10"; server_no_context_takeover',
            "permessage-deflate;server_max_window_bits=9;client_no_context_takeover",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_max_window_bits=10; client_max_window_bits=10",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; other",
            "permessage-deflate; other, permessage-deflate; server_max_window_bits=12",
            "x-webkit-deflate-frame",
            "x-webkit-deflate-frame, permessage-deflate",
        ):
            with self.subTest(offers=offers):
                mine = agreed(offers)
                self.assertEqual(asked(mine.header) if mine else None, their_answer(offers))

    def test_smallest_window(self) -> None:
        """A window of 8 bits, which zlib cannot write, is not agreed to."""
        self.assertIsNone(agreed("permessage-deflate; server_max_window_bits=8"))
        self.assertIsNone(agreed(""))


class HandshakeTests(WebCase):
    def answered(self, *, compression: bool, offers: str) -> str | None:
        sockets = self.house.server.web_sockets
        sockets.use(type(sockets.web)(compression=compression))
        client = WebClient(self.house)
        client.ask("GET", "/ws", headers=HANDSHAKE | {"Sec-WebSocket-Extensions": offers})
        answer = client.answer()
        self.assertEqual(answer.status, 101)
        return answer.headers.get("Sec-WebSocket-Extensions")

    def test_configured(self) -> None:
        """Messages are compressed only where the administrator wants that (WS-12)."""
        self.assertIsNone(self.answered(compression=False, offers="permessage-deflate"))
        self.assertIsNone(self.answered(compression=True, offers="other"))
        header = self.answered(compression=True, offers="permessage-deflate")
        assert header is not None
        self.assertTrue(header.startswith("permessage-deflate; "), header)


class TalkTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = House(config=house_config("montague.lit"), romeo={}, juliet={})
        sockets = self.house.server.web_sockets
        sockets.use(type(sockets.web)(compression=True))
        offer = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
        self.romeo = WebSocketClient(self.house, headers=HANDSHAKE | offer)
        self.romeo.frames.extensions = [THEIRS]

    def test_chat(self) -> None:
        """Long stanzas go compressed, both ways."""
        self.romeo.log_in("romeo")
        (juliet,) = self.house.connect("juliet")
        body = f"<body>{LONG.decode()}</body>"
        self.romeo.say(f"<message xmlns='jabber:client' to='juliet@montague.lit'>{body}</message>")
        (heard,) = juliet.received()
        self.assertIn(body, heard)
        juliet.send(f"<message to='romeo@montague.lit/1'>{body}</message>")
        (back,) = self.romeo.heard()
        self.assertIn(body, back)

    def test_before_login(self) -> None:
        """A stranger's message is held to the size that strangers may send, when it is inflated."""
        self.romeo.open()
        self.romeo.heard()
        self.romeo.say(f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>{' ' * 20_000}</auth>")
        self.assertIn("policy-violation", self.romeo.heard()[0])
        self.assertTrue(self.romeo.close_code in (CloseCode.TOO_LARGE, None))
