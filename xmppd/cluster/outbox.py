"""Outbox: entries on their way to another node, until it has handled them."""

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from itertools import count, islice
from typing import NamedTuple

from msgspec.msgpack import Encoder
from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.frame import (
    HEADER_BYTES,
    MAX_BODY_BYTES,
    MAX_ENTRY_BYTES,
    MAX_FRAME_ENTRIES,
    BadFrame,
    FrameKind,
    array,
    header,
)
from xmppd.stanza import Condition, StanzaError

ROOM_WITHIN_S = 10.0
"""Who waits longer than this for room gets an error instead."""

ARRAY_HEAD_BYTES = 3

_log = Logger()
_encode = Encoder().encode


@dataclass(frozen=True)
class FrameWindow:
    """How much may be under way to a node until others wait.

    Attributes:
        bytes: Of entries that are not acknowledged.
        entries: Their number.
    """

    bytes: int = 4 << 20
    entries: int = 10_000


class SentFrame(NamedTuple):
    """A frame that is not acknowledged.

    Attributes:
        number: Of the frame.
        data: All of it.
        entries: The number of those that end with it.
        bytes: Of these.
        at: The moment when it was sent first.
    """

    number: int
    data: bytes
    entries: int
    bytes: int
    at: float


class Outbox:
    """Entries for another node: those that wait, and frames that it has not acknowledged.

    Args:
        window: How much may be under way.
        clock: Tells for how long.

    Attributes:
        bytes: Of all entries in it.
        entries: Their number.
        dropped: So many were not taken, since twice the window was full.
        superseded: So many made way for one that says all that they did.
        resent: So many frames were sent again.
    """

    def __init__(self, window: FrameWindow, clock: IReactorTime) -> None:
        self.window = window
        self.clock = clock
        self.bytes = self.entries = 0
        self.dropped = self.superseded = self.resent = 0
        self._waiting: dict[Hashable, bytes] = {}
        self._order = count()
        self._sent: deque[SentFrame] = deque()
        self._sent_bytes = self._sent_entries = 0
        self._last = self._acknowledged = 0
        self._finished = 0  # entries that were handled, since the beginning
        self._for_room: deque[defer.Deferred[None]] = deque()
        self._for_finished: deque[tuple[int, defer.Deferred[None]]] = deque()

    @property
    def has_room(self) -> bool:
        """Whether the window is not full."""
        window = self.window
        return self.bytes < window.bytes and self.entries < window.entries

    @property
    def lag_s(self) -> float:
        """For so long the oldest frame is not acknowledged."""
        return self.clock.seconds() - self._sent[0].at if self._sent else 0.0

    def put(self, entry: BusEntry) -> bool:
        """Let an entry wait for the next frame.

        Returns:
            False if it was dropped, since even twice the window is full: those who can wait for
            room have waited, and what handling causes must not (CL-84).
        """
        window = self.window
        if self.bytes >= 2 * window.bytes or self.entries >= 2 * window.entries:
            self.dropped += 1
            return False
        data = _encode(entry)
        if len(data) > MAX_ENTRY_BYTES:
            self.dropped += 1
            _log.error(
                "{kind} was not sent to the other node: it has {bytes} bytes, and the "
                "limit is {most}",
                kind=entry.__class__.__name__, bytes=len(data), most=MAX_ENTRY_BYTES,
            )  # fmt: skip
            return False
        newest = entry.newest
        if newest is None:
            self._waiting[next(self._order)] = data
        else:
            self._supersede((entry.__class__, newest), data)
        self.entries += 1
        self.bytes += len(data)
        return True

    def _supersede(self, key: Hashable, data: bytes) -> None:
        older = self._waiting.pop(key, None)
        if older is not None:
            self.superseded += 1
            self.entries -= 1
            self.bytes -= len(older)
        self._waiting[key] = data

    async def room(self) -> None:
        """Wait until the window is not full.

        Raises:
            StanzaError: REMOTE_SERVER_TIMEOUT: it was full for too long (CL-85).
        """
        if self.has_room:
            return
        room = defer.Deferred[None]()
        self._for_room.append(room)
        room.addTimeout(ROOM_WITHIN_S, self.clock)
        try:
            await room
        except defer.TimeoutError as error:
            self._for_room.remove(room)
            raise StanzaError(
                Condition.REMOTE_SERVER_TIMEOUT, "another part of this service does not answer"
            ) from error

    async def settled(self) -> None:
        """Wait until all that is in it now is handled."""
        if self.entries:
            settled = defer.Deferred[None]()
            self._for_finished.append((self._finished + self.entries, settled))
            await settled

    def frames(self, handled: int) -> Iterator[bytes]:
        """Frames of what waits, as far as the window goes.

        Args:
            handled: The number that they acknowledge.
        """
        window = self.window
        while (
            self._waiting
            and self._sent_bytes < window.bytes
            and self._sent_entries < window.entries
        ):
            entries, size = self._next_entries()
            body = array(entries, len(entries))
            first = len(self._sent)
            while len(body) > MAX_BODY_BYTES:
                self._send(FrameKind.PART, body[:MAX_BODY_BYTES], handled)
                body = body[MAX_BODY_BYTES:]
            self._send(FrameKind.ENTRIES, body, handled, len(entries), size)
            yield from [frame.data for frame in islice(self._sent, first, None)]

    def _send(self, kind: int, body: bytes, handled: int, entries: int = 0, size: int = 0) -> None:
        self._last += 1
        data = header(kind, self._last, handled) + body
        self._sent.append(SentFrame(self._last, data, entries, size, self.clock.seconds()))
        self._sent_entries += entries
        self._sent_bytes += size

    def _next_entries(self) -> tuple[list[bytes], int]:
        """Take the entries of the next frame; returns their size, too."""
        waiting, size = self._waiting, self.bytes - self._sent_bytes
        most_bytes = MAX_BODY_BYTES - ARRAY_HEAD_BYTES
        most = min(MAX_FRAME_ENTRIES, self.window.entries - self._sent_entries)
        if len(waiting) <= most and size <= most_bytes:
            entries = list(waiting.values())
            waiting.clear()
            return entries, size
        taken, size = dict[Hashable, bytes](), 0
        for key, data in islice(waiting.items(), most):
            if taken and size + len(data) > most_bytes:
                break
            taken[key] = data
            size += len(data)
        for key in taken:
            del waiting[key]
        return list(taken.values()), size

    def again(self) -> Iterator[bytes]:
        """All frames that are not acknowledged, to be sent once more."""
        self.resent += len(self._sent)
        return iter([frame.data for frame in self._sent])

    def acknowledge(self, number: int) -> None:
        """Forget all frames up to this one: the other node has handled them.

        Raises:
            BadFrame: It was not sent yet.
        """
        if number > self._last:
            raise BadFrame(
                f"the peer acknowledges frame {number}, but the last one was {self._last}"
            )
        if number <= self._acknowledged:
            return
        self._acknowledged = number
        while self._sent and self._sent[0].number <= number:
            frame = self._sent.popleft()
            self._sent_entries -= frame.entries
            self._sent_bytes -= frame.bytes
            self.entries -= frame.entries
            self.bytes -= frame.bytes
            self._finished += frame.entries
        while self._for_room and self.has_room:
            self._for_room.popleft().callback(None)
        while self._for_finished and self._for_finished[0][0] <= self._finished:
            self._for_finished.popleft()[1].callback(None)

    @property
    def waits(self) -> bool:
        """Whether something waits for the next frame."""
        return bool(self._waiting)

    def empty(self) -> list[bytes]:
        """Take out all that was not acknowledged: arrays of entries, in order. Nobody waits any
        more.
        """
        arrays, begun = [], b""
        for frame in self._sent:
            begun += frame.data[HEADER_BYTES:]
            if frame.entries:
                arrays.append(begun)
                begun = b""
        waiting = iter(self._waiting.values())
        while some := list(islice(waiting, MAX_FRAME_ENTRIES)):
            arrays.append(array(some, len(some)))
        self._sent.clear()
        self._waiting.clear()
        self.bytes = self.entries = self._sent_bytes = self._sent_entries = 0
        while self._for_room:
            self._for_room.popleft().callback(None)
        while self._for_finished:
            self._for_finished.popleft()[1].callback(None)
        return arrays


__all__ = ["FrameWindow", "Outbox"]
