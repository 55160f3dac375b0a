"""MessageDeflate: compressed messages of a WebSocket (:rfc:`7692`), each of which stands alone."""

import re
import zlib

from xmppd.web.web_socket import CloseCode, Opcode, WebSocketError, frame, payload_in

MIN_COMPRESSED_BYTES = 192
"""What is shorter is sent as it is: it would hardly become less."""

_MEMORY = 5
"""Of zlib's 9: its tables are made for each message, which at 8 costs four times as much."""

_BITS = range(9, 16)
"""Of windows; zlib cannot write such of 8 bits (its ``deflateInit2``)."""

_TAIL = b"\x00\x00\xff\xff"
"""The end of a flush, which does not travel (:rfc:`7692#section-7.2.1`)."""

_LAST = b"\x03\x00"
"""A last block, which is empty."""

_BEHIND_THE_LAST = (_TAIL, b"\x00" + _TAIL)
"""What is left of a message that says which block is its last (:rfc:`7692#section-7.2.3.4`)."""

_SWITCHES = ("server_no_context_takeover", "client_no_context_takeover")
_parameter = re.compile(r'\s*([\w-]+)\s*(?:=\s*("?)(\d{1,2})\2\s*)?').fullmatch


class MessageDeflate:
    """Compresses messages, and reads compressed ones (WS-12).

    Nothing is kept from one message to the next, which both sides promise in the handshake: so a
    secret in one cannot be guessed from the size of another, and a connection costs no window.

    Args:
        window_bits: The logarithm of the window that the client is ready to keep.
    """

    __slots__ = ("_window_bits",)

    def __init__(self, window_bits: int) -> None:
        self._window_bits = window_bits

    @property
    def header(self) -> str:
        """What is answered in ``Sec-WebSocket-Extensions``."""
        answer = "; ".join(("permessage-deflate", *_SWITCHES))
        if self._window_bits < zlib.MAX_WBITS:
            answer += f"; server_max_window_bits={self._window_bits}"
        return answer

    def framed(self, message: bytes) -> bytes:
        """A frame with a text message, compressed if that makes it shorter."""
        if len(message) >= MIN_COMPRESSED_BYTES:
            deflate = zlib.compressobj(wbits=-self._window_bits, memLevel=_MEMORY)
            shorter = deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH)
            if len(shorter) - len(_TAIL) < len(message):
                return frame(Opcode.TEXT, shorter.removesuffix(_TAIL), compressed=True)
        return frame(Opcode.TEXT, message)


def inflated(payload: bytes, max_bytes: int) -> bytes:
    """What a compressed message says.

    Args:
        payload: Of its frames.
        max_bytes: No more than that is ever made of it.

    Raises:
        WebSocketError: It is too large, or not compressed as it has to be.
    """
    inflate = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        message = inflate.decompress(payload + _TAIL, max_bytes + 1)
    except zlib.error:
        raise WebSocketError(CloseCode.PROTOCOL_ERROR, "this is not DEFLATE") from None
    if len(message) > max_bytes:
        raise WebSocketError(CloseCode.TOO_LARGE, f"more than {max_bytes} bytes in one message")
    if inflate.eof and inflate.unused_data not in _BEHIND_THE_LAST:
        raise WebSocketError(CloseCode.PROTOCOL_ERROR, "more follows the last block")
    return message


def text_in(framed: bytes) -> bytes:
    """The text of one whole frame of ours; empty if it is another."""
    match framed[:1]:
        case b"\x81":
            return payload_in(framed)
        case b"\xc1":
            return zlib.decompress(payload_in(framed) + _TAIL + _LAST, wbits=-zlib.MAX_WBITS)
    return b""


def agreed(offers: str) -> MessageDeflate | None:
    """What is agreed with a client on its offers (:rfc:`7692#section-5.1`).

    Args:
        offers: Its ``Sec-WebSocket-Extensions``, in the order of its preference.

    Returns:
        None if there is none that can be taken.
    """
    for offer in offers.split(","):
        name, *parameters = offer.split(";")
        if name.strip() == "permessage-deflate":
            window_bits = _window_bits(parameters)
            if window_bits is not None:
                return MessageDeflate(window_bits)
    return None


def _window_bits(parameters: list[str]) -> int | None:
    """The window that an offer leaves us; None if it cannot be taken."""
    found = [_parameter(each) for each in parameters]
    said = {each[1]: each[3] for each in found if each is not None}
    if len(said) < len(parameters):
        return None  # one is not understood, or is there twice
    bits = said.pop("server_max_window_bits", str(zlib.MAX_WBITS))
    theirs = said.pop("client_max_window_bits", None) or str(zlib.MAX_WBITS)
    if any(each not in _SWITCHES or value is not None for each, value in said.items()):
        return None
    if bits is None or int(bits) not in _BITS or int(theirs) not in range(8, 16):
        return None
    return int(bits)


__all__ = ["MIN_COMPRESSED_BYTES", "MessageDeflate", "agreed", "inflated", "text_in"]
