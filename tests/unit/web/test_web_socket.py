"""The frames of WebSocket, beside those of another implementation."""

from collections.abc import Iterable
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame
from websockets.frames import Opcode as TheirOpcode

from tests.unit.web.fuzz_web_socket import difference, written_alike
from xmppd.web.message_deflate import text_in
from xmppd.web.web_socket import (
    MAX_FRAGMENTS,
    CloseCode,
    MessageReader,
    Opcode,
    WebSocketError,
    close_frame,
    frame,
    text_frame,
)

LIMIT = 70_000
SIZES = (0, 1, 125, 126, 127, 507, 508, 509, 513, 65_535, 65_536, LIMIT)


def sent(opcode: TheirOpcode, data: bytes, *, fin: bool = True) -> bytes:
    """A frame as a client sends it."""
    return Frame(opcode, data, fin).serialize(mask=True)


def text(data: bytes) -> bytes:
    """A whole text message."""
    return sent(TheirOpcode.TEXT, data)


def read(pieces: Iterable[bytes], limit: int = LIMIT) -> list[tuple[Opcode, bytes]]:
    """What is read; the code with which it ends stands at its end."""
    reader = MessageReader(lambda: limit)
    found: list[tuple[Opcode, bytes]] = []
    try:
        for piece in pieces:
            alone = reader.alone(piece)
            found += reader.read(piece) if alone is None else [(Opcode.TEXT, alone)]
    except WebSocketError as error:
        found.append((Opcode.CLOSE, error.code.to_bytes(2)))
    return found


def ended(code: CloseCode) -> tuple[Opcode, bytes]:
    """The mark at the end of what could not be read further."""
    return Opcode.CLOSE, code.to_bytes(2)


class LibraryTests(SynchronousTestCase):
    def test_alike(self) -> None:
        """Right and wrong frames, torn somehow, are read as another implementation reads them, and
        ours are written as it writes them; `make fuzz` does so a million times.
        """
        for seed in range(200):
            self.assertEqual(difference(seed, 12), "")
            self.assertTrue(written_alike(Random(seed)))


class ReadingTests(SynchronousTestCase):
    def test_sizes(self) -> None:
        """Messages of every size are read, whole or torn."""
        for size in SIZES:
            data = bytes(Random(size).choices(range(128), k=size))
            stream = text(data) + text(b"next")
            for step in (1, 5, 1_000, len(stream)) if size < 1_000 else (997, len(stream)):
                pieces = [stream[at : at + step] for at in range(0, len(stream), step)]
                self.assertEqual(read(pieces), [(Opcode.TEXT, data), (Opcode.TEXT, b"next")])

    def test_fragments(self) -> None:
        """A message may come in parts, with pings in between."""
        stream = (
            sent(TheirOpcode.TEXT, b"one ", fin=False)
            + sent(TheirOpcode.PING, b"?")
            + sent(TheirOpcode.CONT, b"two ", fin=False)
            + sent(TheirOpcode.CONT, "thrée".encode())
            + text(b"next")
        )
        expected = [
            (Opcode.PING, b"?"),
            (Opcode.TEXT, "one two thrée".encode()),
            (Opcode.TEXT, b"next"),
        ]
        self.assertEqual(read([stream]), expected)
        self.assertEqual(read(stream[at : at + 1] for at in range(len(stream))), expected)

    def test_refused(self) -> None:
        """What may not be sent ends it with the code that says why (WS-9)."""
        first = sent(TheirOpcode.TEXT, b"x", fin=False)
        for data, code in (
            (sent(TheirOpcode.BINARY, b"x"), CloseCode.UNSUPPORTED),
            (frame(Opcode.TEXT, b"unmasked"), CloseCode.PROTOCOL_ERROR),
            (b"\xc1" + text(b"x")[1:], CloseCode.PROTOCOL_ERROR),
            (b"\x91" + text(b"x")[1:], CloseCode.PROTOCOL_ERROR),
            (b"\x83\x80", CloseCode.PROTOCOL_ERROR),
            (b"\x8b\x80", CloseCode.PROTOCOL_ERROR),
            (b"\x09\x80", CloseCode.PROTOCOL_ERROR),
            (b"\x89\xfe", CloseCode.PROTOCOL_ERROR),
            (sent(TheirOpcode.CONT, b"x"), CloseCode.PROTOCOL_ERROR),
            (first + text(b"x"), CloseCode.PROTOCOL_ERROR),
            (text(b"\xc3"), CloseCode.NOT_UTF8),
            (text(b"\xed\xa0\x80"), CloseCode.NOT_UTF8),
            (first + sent(TheirOpcode.CONT, b"\xff"), CloseCode.NOT_UTF8),
        ):
            with self.subTest(data=data):
                self.assertEqual(read([text(b"before") + data + text(b"after")]), [
                    (Opcode.TEXT, b"before"), ended(code),
                ])  # fmt: skip

    def test_too_large(self) -> None:
        """A message is refused by the length that its head tells, before its bytes have come."""
        for head in (b"\x81\xff" + (LIMIT + 1).to_bytes(8), b"\x81\xff" + b"\xff" * 8):
            self.assertEqual(read([head + b"\0" * 4]), [ended(CloseCode.TOO_LARGE)])
        half = sent(TheirOpcode.TEXT, b"x" * (LIMIT // 2 + 1), fin=False)
        more = sent(TheirOpcode.CONT, b"x" * (LIMIT // 2), fin=False)
        self.assertEqual(read([half, more[:20]]), [ended(CloseCode.TOO_LARGE)])

    def test_beginning_of_a_long_one(self) -> None:
        """The beginning of a long message is none, of however many bytes it is."""
        whole = text(b"x" * LIMIT)
        for size in range(1, 300):
            pieces = [whole[:size], whole[size:]]
            self.assertEqual(read(pieces), [(Opcode.TEXT, b"x" * LIMIT)], size)

    def test_too_many_fragments(self) -> None:
        """So is one of too many parts, of however few bytes."""
        parts = [sent(TheirOpcode.TEXT, b"", fin=False)]
        parts += [sent(TheirOpcode.CONT, b"", fin=False)] * (MAX_FRAGMENTS - 1)
        self.assertEqual(read(parts), [])
        self.assertEqual(
            read([*parts, sent(TheirOpcode.CONT, b"", fin=False)]), [ended(CloseCode.POLICY)]
        )

    @given(st.binary(max_size=60), st.integers(1, 20))
    def test_anything(self, data: bytes, step: int) -> None:
        """Whatever comes is read in the same way however it is torn, and never fails otherwise."""
        pieces = [data[at : at + step] for at in range(0, len(data), step)]
        self.assertEqual(read(pieces), read([data]))


class WritingTests(SynchronousTestCase):
    def test_frames(self) -> None:
        """Our frames are those that another implementation writes."""
        for size in SIZES:
            data = b"x" * size
            theirs = Frame(TheirOpcode.TEXT, data).serialize(mask=False)
            self.assertEqual(frame(Opcode.TEXT, data), theirs)
            self.assertEqual(text_frame(data), theirs)
            self.assertEqual(text_in(theirs), data)
        self.assertEqual(text_in(close_frame(CloseCode.NORMAL)), b"")
        self.assertEqual(close_frame(CloseCode.NORMAL), b"\x88\x02\x03\xe8")
