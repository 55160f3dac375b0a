"""Inbox: frames of another node, until all their entries are handled."""

from collections import deque

from xmppd.cluster.entries.any_entry import Answered
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entry_decoder import BadEntry, EntryDecoder
from xmppd.cluster.frame import (
    HEADER_BYTES,
    MAX_ENTRY_BYTES,
    MAX_FRAME_BYTES,
    BadFrame,
)
from xmppd.stanza.phrases import counted

MAX_UNHANDLED_BYTES = 4 * MAX_ENTRY_BYTES
MAX_UNHANDLED = 100_000
"""The entries, and their bytes, that may have come and not be handled, whatever the window of the
other node is."""


class TakenFrame:
    """A frame that came.

    Attributes:
        number: Of the frame.
        entries: In it.
        bytes: Of the frame, and of those before it that are parts of it.
        left: The number of its entries that are not handled.
    """

    __slots__ = ("bytes", "entries", "left", "number")

    def __init__(self, number: int, entries: int, bytes: int) -> None:
        self.number = number
        self.entries = self.left = entries
        self.bytes = bytes


Incoming = tuple[BusEntry, TakenFrame]
"""An entry, and its frame."""


class Inbox:
    """Frames of another node, each taken once and in order.

    Args:
        decoder: Unpacks and checks entries.

    Attributes:
        handled: The number of the last frame of which, and of all before it, all entries are
            handled.
        unhandled: The number of entries that came and are not.
        queue: The entries whose handling has not begun.
    """

    def __init__(self, decoder: EntryDecoder) -> None:
        self.decoder = decoder
        self.handled = self.unhandled = 0
        self.queue: deque[Incoming] = deque()
        self._received = 0
        self._part = bytearray()
        self._taken: deque[TakenFrame] = deque()
        self._bytes = 0

    def is_next(self, number: int, size: int) -> bool:
        """Whether a frame is the next one; False if it came before.

        Raises:
            BadFrame: Others are missing before it, or too much is not handled.
        """
        if number <= self._received:
            return False
        if number != self._received + 1:
            raise BadFrame(f"frame {number} came after frame {self._received}")
        if self._bytes + size > MAX_UNHANDLED_BYTES or self.unhandled > MAX_UNHANDLED:
            raise BadFrame(
                f"too much is waiting here: {counted(self._bytes, 'byte')} and "
                f"{counted(self.unhandled, 'entry', 'entries')}"
            )
        return True

    def take_part(self, number: int, frame: bytes) -> None:
        """Take a part of entries that go in several frames."""
        if len(self._part) + len(frame) > MAX_ENTRY_BYTES + MAX_FRAME_BYTES:
            raise BadFrame(f"an entry has more than {MAX_ENTRY_BYTES} bytes")
        self._part += memoryview(frame)[HEADER_BYTES:]
        self._received = number

    def take(self, number: int, frame: bytes) -> bool:
        """Put the entries of the next frame into the queue.

        Returns:
            Whether there is an answer among them.

        Raises:
            BadFrame: They cannot be read, or one of them is none; none of them is taken.
        """
        body: memoryview | bytes = memoryview(frame)[HEADER_BYTES:]
        if self._part:
            body = b"".join((self._part, body))
        try:
            entries = self.decoder.decode(body)
        except BadEntry as error:
            raise BadFrame(f"the frame has an invalid entry: {error}") from error
        if not entries:
            raise BadFrame("the frame has no entries")
        self._part = bytearray()
        self._received = number
        taken = TakenFrame(number, len(entries), len(body))
        self._taken.append(taken)
        self._bytes += taken.bytes
        self.unhandled += taken.entries
        self.queue.extend([(entry, taken) for entry in entries])
        return any(entry.__class__ is Answered for entry in entries)

    def answers(self) -> list[Incoming]:
        """Take the answers out of the queue."""
        queue = self.queue
        self.queue = deque(each for each in queue if each[0].__class__ is not Answered)
        return [each for each in queue if each[0].__class__ is Answered]

    def done(self, frame: TakenFrame) -> int:
        """Note that an entry of this frame is handled.

        Returns:
            The number of frames that are handled by that.
        """
        frame.left -= 1
        if frame.left:
            return 0
        frames = 0
        while self._taken and not self._taken[0].left:
            done = self._taken.popleft()
            self.handled = done.number
            self._bytes -= done.bytes
            self.unhandled -= done.entries
            frames += 1
        return frames


__all__ = ["Inbox", "Incoming"]
