"""The frames of WebSocket (:rfc:`6455#section-5`): bytes to messages and back. No socket."""

from collections.abc import Callable, Iterator
from enum import IntEnum

MAX_FRAGMENTS = 64
MAX_CONTROL_BYTES = 125
_SHORT, _MEDIUM, _LONG = 125, 126, 127
_FIN, _COMPRESSED, _RESERVED, _MASKED = 0x80, 0x40, 0x70, 0x80
_WHOLE_TEXT = 0x81
_SHORT_TEXTS = tuple(bytes((_WHOLE_TEXT, size)) for size in range(_SHORT + 1))
_MAX_WORDS = 128
_ONES = tuple(sum(1 << 32 * word for word in range(words)) for words in range(_MAX_WORDS))
"""Of so many words each one is 1: times a mask, it is the mask for so many."""

_number = int.from_bytes


class Opcode(IntEnum):
    """The kinds of frames."""

    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10


class CloseCode(IntEnum):
    """The reasons for closing (:rfc:`6455#section-7.4`)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED = 1003
    NOT_UTF8 = 1007
    POLICY = 1008
    TOO_LARGE = 1009


class WebSocketError(Exception):
    """An error: what came is not WebSocket, or too much; the text is a sentence.

    Args:
        code: For the close frame.
        sentence: For the client.
    """

    def __init__(self, code: CloseCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class MessageReader:
    """The messages and control frames of a client (WS-9).

    Args:
        max_bytes: Says how large a message may be now. That is held against the length in a frame's
            head, before any of its bytes is kept.
        inflate: Makes of a compressed message what it says, of no more bytes than the second
            argument; None if nothing may be compressed.
    """

    __slots__ = (
        "_allowed_bytes",
        "_closed",
        "_data",
        "_fragments",
        "_inflate",
        "_is_compressed",
        "_max_bytes",
        "_needed",
        "_parts",
        "_size_bytes",
    )

    def __init__(
        self,
        max_bytes: Callable[[], int],
        inflate: Callable[[bytes, int], bytes] | None = None,
    ) -> None:
        self._max_bytes = max_bytes
        self._allowed_bytes = 0  # as it said last; it is asked again when a message is larger
        self._inflate = inflate
        self._is_compressed = False
        self._data: bytes | bytearray = b""  # a bytearray while there is something: most are idle
        self._needed = 2
        self._parts: tuple[bytes, ...] = ()
        self._size_bytes = self._fragments = 0
        self._closed = False

    def close(self) -> None:
        """Read nothing more, not even what has come already."""
        self._closed = True

    def alone(self, data: bytes) -> bytes | None:
        """The text message that these bytes are, if it is whole and alone, as most often; None if
        they have to be read with more effort.
        """
        end = len(data)
        if end < 6 or data[0] != _WHOLE_TEXT or self._data or self._fragments or self._closed:
            return None
        short = data[1] - _MASKED
        if short == _MEDIUM:
            begin, size = 8, end - 8
            if size != data[2] << 8 | data[3]:
                return None
        else:
            begin, size = 6, end - 6
            if size != short or short > _SHORT:
                return None
        if size > self._allowed_bytes:
            self._allowed_bytes = self._max_bytes()
            if size > self._allowed_bytes:
                return None
        text = unmasked(data[begin - 4 : begin], data[begin:], size)
        return text if text.isascii() else _in_utf8(text)

    def read(self, data: bytes) -> Iterator[tuple[Opcode, bytes]]:
        """Text messages, and control frames, as soon as they are whole.

        Raises:
            WebSocketError: Nothing more can be read.
        """
        if self._data:
            self._data += data
            if len(self._data) < self._needed:
                return
            data, self._data = bytes(self._data), b""
        at, end = 0, len(data)
        whole = 0
        while not self._closed and (whole := self._frame_end(data, at, end)) <= end:
            first, begin = data[at], self._payload_at(data, at)
            size = whole - begin
            payload = unmasked(data[begin - 4 : begin], data[begin:whole], size)
            at = whole
            opcode = Opcode(first & 0x0F)
            if opcode >= Opcode.CLOSE:
                yield opcode, payload
            else:
                if first & _COMPRESSED:
                    self._is_compressed = True
                message = self._joined(payload, final=bool(first & _FIN))
                if message is not None:
                    yield Opcode.TEXT, message
        self._needed = whole - at
        if at < end:
            self._data = bytearray(data[at:])

    def _frame_end(self, data: bytes, at: int, end: int) -> int:
        """Where a frame ends, or its head does as far as it is known.

        Raises:
            WebSocketError: It is none, or too large.
        """
        if end - at < 2:
            return at + 2
        first, second = data[at], data[at + 1]
        self._check_head(first, second)
        begin = self._payload_at(data, at)
        if end < begin - 4:
            return begin
        size = self._size(data, at)
        if first & 0x0F < Opcode.CLOSE:
            self._check_size(size)
        return begin + size

    def _check_head(self, first: int, second: int) -> None:
        opcode = first & 0x0F
        is_compressed = opcode == Opcode.TEXT and self._inflate and first & _RESERVED == _COMPRESSED
        if (first & _RESERVED and not is_compressed) or not second & _MASKED:
            raise WebSocketError(
                CloseCode.PROTOCOL_ERROR, "this frame is not masked, or has reserved bits set"
            )
        if opcode >= Opcode.CLOSE:
            known = opcode <= Opcode.PONG
            if not known or not first & _FIN or second & 0x7F > MAX_CONTROL_BYTES:
                raise WebSocketError(CloseCode.PROTOCOL_ERROR, "this is not a control frame")
        elif opcode == Opcode.BINARY:
            raise WebSocketError(CloseCode.UNSUPPORTED, "XMPP messages must be text")
        elif opcode > Opcode.BINARY or (opcode == Opcode.CONTINUATION) is not bool(self._fragments):
            raise WebSocketError(CloseCode.PROTOCOL_ERROR, "this frame belongs to no message")

    @staticmethod
    def _payload_at(data: bytes, at: int) -> int:
        short = data[at + 1] & 0x7F
        return at + (6 if short <= _SHORT else 8 if short == _MEDIUM else 14)

    @staticmethod
    def _size(data: bytes, at: int) -> int:
        short = data[at + 1] & 0x7F
        if short <= _SHORT:
            return short
        return int.from_bytes(data[at + 2 : at + (4 if short == _MEDIUM else 10)])

    def _check_size(self, size_bytes: int) -> None:
        most = self._max_bytes()
        if self._size_bytes + size_bytes > most:
            raise WebSocketError(CloseCode.TOO_LARGE, f"more than {most} bytes in one message")
        if self._fragments >= MAX_FRAGMENTS:
            raise WebSocketError(CloseCode.POLICY, f"more than {MAX_FRAGMENTS} parts of a message")

    def _joined(self, payload: bytes, *, final: bool) -> bytes | None:
        """A message that is whole; None if more of it follows."""
        if self._fragments or not final:
            self._fragments += 1
            self._size_bytes += len(payload)
            self._parts += (payload,)
            if not final:
                return None
            payload = b"".join(self._parts)
            self._parts = ()
            self._fragments = self._size_bytes = 0
        if self._is_compressed and self._inflate is not None:
            self._is_compressed = False
            payload = self._inflate(payload, self._max_bytes())
        return _in_utf8(payload)


def _in_utf8(message: bytes) -> bytes:
    """A message, which was looked at.

    Raises:
        WebSocketError: It is not in UTF-8.
    """
    if not message.isascii():
        try:
            message.decode()
        except UnicodeDecodeError:
            raise WebSocketError(CloseCode.NOT_UTF8, "this is not UTF-8") from None
    return message


def unmasked(mask: bytes, payload: bytes, size: int) -> bytes:
    """A payload without its mask, or with it: as one number, which takes no loop."""
    words = (size + 3) >> 2
    masks = (
        _number(mask, "little") * _ONES[words]
        if words < _MAX_WORDS
        else _number(mask * words, "little")
    )
    return (_number(payload, "little") ^ masks).to_bytes(words << 2, "little")[:size]


def text_frame(text: bytes) -> bytes:
    """A frame of ours with a text message, as :func:`frame` makes it."""
    size = len(text)
    if size <= _SHORT:
        return _SHORT_TEXTS[size] + text
    if size < 1 << 16:
        return b"\x81\x7e" + size.to_bytes(2) + text
    return frame(Opcode.TEXT, text)


def frame(opcode: Opcode, payload: bytes, *, compressed: bool = False) -> bytes:
    """A frame of ours, whole and without a mask."""
    size = len(payload)
    first = _FIN | _COMPRESSED | opcode if compressed else _FIN | opcode
    if size <= _SHORT:
        return b"%c%c%b" % (first, size, payload)
    if size < 1 << 16:
        return b"%c\x7e%b%b" % (first, size.to_bytes(2), payload)
    return b"%c\x7f%b%b" % (first, size.to_bytes(8), payload)


def payload_in(framed: bytes) -> bytes:
    """The payload of one whole frame of ours."""
    short = framed[1]
    return framed[2 if short <= _SHORT else 4 if short == _MEDIUM else 10 :]


def close_frame(code: CloseCode) -> bytes:
    """A close frame with its reason."""
    return frame(Opcode.CLOSE, code.to_bytes(2))
