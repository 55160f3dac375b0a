"""Conversation: all that one node has with one other, whatever carries it.

Entries leave in frames, which are numbered. A frame is acknowledged when its entries are handled,
and those of all frames before it; until then its sender keeps it, and sends it again by the next
carrier. By the number its receiver knows which frames it has, so that each entry is handled once,
in the order in which they were sent.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import NamedTuple, Protocol

from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from xmppd.cluster.bus import Outcome, Unreachable
from xmppd.cluster.directory import DirectoryError
from xmppd.cluster.entries.any_entry import Answered, Asking
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entry_decoder import MAX_REASON_LENGTH, EntryDecoder
from xmppd.cluster.frame import (
    HEADER_BYTES,
    MAX_FRAME_BYTES,
    BadFrame,
    FrameKind,
    header,
    read_header,
)
from xmppd.cluster.inbox import Inbox, TakenFrame
from xmppd.cluster.node import NodeId
from xmppd.cluster.outbox import FrameWindow, Outbox
from xmppd.stanza import Later, StanzaError
from xmppd.stanza.phrases import counted

MAX_AT_ONCE = 1_000
"""Entries that are being handled at the same time."""

ACKNOWLEDGE_AFTER_FRAMES = 32
ACKNOWLEDGE_AFTER_S = 0.020

FORESEEN = (StanzaError, DirectoryError, Unreachable)
"""Errors that are an answer, and no fault of ours."""

_log = Logger()


class Carrier(Protocol):
    """Carries frames to the other node, in order; they may be lost."""

    def send(self, frame: bytes) -> None:
        """Send a frame."""


@dataclass(frozen=True)
class Terms:
    """What all conversations of a node have in common.

    Attributes:
        take: Takes what others send; what it returns is waited for before it counts as handled.
        speaks: Whether this node may act; while it may not, nothing is handled.
        decoder: Unpacks and checks entries.
        at_end_of_turn: Calls a function when this turn of the reactor ends.
        clock: The reactor's.
        window: To each node.
        acknowledge_after_s: An acknowledgement waits for so long for a frame to go with; 0 sends
            it at the end of the turn.
    """

    take: Callable[[NodeId, BusEntry], Outcome]
    speaks: Callable[[], bool]
    decoder: EntryDecoder
    at_end_of_turn: Callable[[Callable[[], None]], object]
    clock: IReactorTime
    window: FrameWindow
    acknowledge_after_s: float = ACKNOWLEDGE_AFTER_S


class ConversationState(NamedTuple):
    """The state of a conversation, for people.

    Attributes:
        bytes: Of entries that the other node has not handled.
        entries: Their number.
        fullness: Of the window; 1 when it is full.
        lag_s: For so long the oldest frame is not acknowledged.
        dropped: Entries that were not sent, since twice the window was full.
        superseded: Entries that were not sent, since a newer one says all that they did.
        resent: Frames that were sent again.
        unhandled: Entries of the other node that are not handled here.
    """

    bytes: int
    entries: int
    fullness: float
    lag_s: float
    dropped: int
    superseded: int
    resent: int
    unhandled: int


class Conversation:
    """What one node has with one other.

    Args:
        node: The other.
        terms: As with all.

    Attributes:
        carrier: None while nothing carries frames; entries wait.
    """

    def __init__(self, node: NodeId, terms: Terms) -> None:
        self.node = node
        self.terms = terms
        self.carrier: Carrier | None = None
        self._outbox = Outbox(terms.window, terms.clock)
        self._inbox = Inbox(terms.decoder)
        self._at_once = 0
        self._handling = False
        self._asked: dict[int, defer.Deferred[Answered]] = {}
        self._questions = count(1)
        self._flush_ordered = False
        self._unacknowledged = 0
        self._acknowledge_later: IDelayedCall | None = None
        self._closed = False

    @property
    def handled(self) -> int:
        """The number of the last frame of the other node that is handled."""
        return self._inbox.handled

    # -- to the other node ------------------------------------------------------------------------

    def tell(self, entry: BusEntry) -> bool:
        """Send an entry when this turn ends; returns False if there is no place for it at all."""
        if self._closed or not self._outbox.put(entry):
            return False
        self._flush_later()
        return True

    async def ask(self, entry: BusEntry, within_s: float) -> BusEntry | None:
        """Send an entry and wait for its answer.

        Raises:
            Unreachable: None came in time, or it says why there is none, or the node is gone.
        """
        number = next(self._questions)
        if not self.tell(Asking(number, entry)):  # type: ignore[arg-type]  # it is one of them
            raise Unreachable(f"too much waits for node {self.node}")
        answer = self._asked[number] = defer.Deferred[Answered]()
        answer.addTimeout(within_s, self.terms.clock)
        try:
            got = await answer
        except defer.TimeoutError as error:
            raise Unreachable(f"node {self.node} did not answer in {within_s:g} s") from error
        finally:
            del self._asked[number]
        if got.refusal:
            raise Unreachable(got.refusal)
        return got.entry

    @property
    def is_full(self) -> bool:
        """Whether so much is under way that others wait."""
        return not self._outbox.has_room

    def room(self) -> Later:
        """Something to wait for if the window is full; None if it is not."""
        return None if self._outbox.has_room else self._outbox.room()

    async def settled(self) -> None:
        """Wait until the other node has handled all that it was told so far, or is gone."""
        await self._outbox.settled()

    def carry(self, carrier: Carrier | None) -> None:
        """Send by this carrier from now on, first what was not acknowledged; by none, keep all."""
        self.carrier = carrier
        if carrier is not None:
            for frame in self._outbox.again():
                carrier.send(frame)
            self._unacknowledged = ACKNOWLEDGE_AFTER_FRAMES  # the last one may be lost
            self._flush()

    def take_back(self) -> list[BusEntry]:
        """End the conversation, since the node is gone.

        Returns:
            The entries that it has not handled, in order, but no answers, and no questions: those
            who ask are told that it is gone.
        """
        self._closed = True
        self.carrier = None
        self._inbox.queue.clear()
        if self._acknowledge_later is not None:
            self._acknowledge_later.cancel()
            self._acknowledge_later = None
        unpack = self.terms.decoder.unpack
        entries = [entry for array in self._outbox.empty() for entry in unpack(array)]
        for asked in list(self._asked.values()):
            asked.errback(Unreachable(f"node {self.node} is gone"))
        return [entry for entry in entries if not isinstance(entry, Asking | Answered)]

    def state(self) -> ConversationState:
        """Its present state."""
        box, window = self._outbox, self.terms.window
        return ConversationState(
            box.bytes,
            box.entries,
            max(box.bytes / window.bytes, box.entries / window.entries),
            box.lag_s,
            box.dropped,
            box.superseded,
            box.resent,
            self._inbox.unhandled,
        )

    def _flush_later(self) -> None:
        if not self._flush_ordered:
            self._flush_ordered = True
            self.terms.at_end_of_turn(self._flush)

    def _flush(self) -> None:
        """Send what waits, as far as the window goes; and an acknowledgement if one is due."""
        self._flush_ordered = False
        carrier = self.carrier
        if carrier is None:
            return
        for frame in self._outbox.frames(self._inbox.handled):
            self._unacknowledged = 0
            carrier.send(frame)
        if self._acknowledgement_is_due:
            self._acknowledge()

    # -- from the other node ----------------------------------------------------------------------

    def receive(self, frame: bytes) -> None:
        """Take a frame: its entries are handled once, after those of all frames before it.

        Raises:
            BadFrame: It is none, or one is missing before it; nothing of it is handled.
        """
        if self._closed:
            return
        if not HEADER_BYTES <= len(frame) <= MAX_FRAME_BYTES:
            raise BadFrame(f"the frame has {counted(len(frame), 'byte')}")
        kind, number, acknowledged = read_header(frame)
        if kind > FrameKind.ACKNOWLEDGEMENT:
            raise BadFrame(f"the frame has the unknown kind {kind}")
        self.acknowledge(acknowledged)
        if kind == FrameKind.ACKNOWLEDGEMENT:
            if number or len(frame) > HEADER_BYTES:
                raise BadFrame("the acknowledgement is malformed")
        elif not self._inbox.is_next(number, len(frame)):
            self._acknowledge_soon(1)  # it does not know that we have it
        elif kind == FrameKind.PART:
            self._inbox.take_part(number, frame)
        else:
            has_answers = self._inbox.take(number, frame)
            self.go_on()
            if has_answers and self._inbox.queue:
                self._take_answers()

    def acknowledge(self, number: int) -> None:
        """Forget all frames up to this one: the other node has handled them.

        Raises:
            BadFrame: It was not sent yet.
        """
        self._outbox.acknowledge(number)
        if self._outbox.waits:
            self._flush_later()

    def go_on(self) -> None:
        """Begin to handle what has come, as much as may be handled at once."""
        if self._handling or not self._inbox.queue or not self.terms.speaks():
            return
        self._handling = True  # what one entry sets free does not begin before that is handled
        try:
            while self._inbox.queue and self._at_once < MAX_AT_ONCE:
                self._handle(*self._inbox.queue.popleft())
        finally:
            self._handling = False

    def _take_answers(self) -> None:
        """Take answers although entries before them wait: these may wait for those who asked."""
        if self.terms.speaks():
            for entry, frame in self._inbox.answers():
                self._handle(entry, frame)

    def _handle(self, entry: BusEntry, frame: TakenFrame) -> None:
        if isinstance(entry, Answered):
            asked = self._asked.get(entry.number)
            if asked is not None and not asked.called:
                asked.callback(entry)
            self._handled(frame)
            return
        question = entry if isinstance(entry, Asking) else None
        told: BusEntry = entry if question is None else question.entry
        try:
            outcome = self.terms.take(self.node, told)
        except Exception as error:
            self._answer(question, None, self._why(told, error))
        else:
            if outcome is not None and isinstance(outcome, Awaitable):
                self._at_once += 1
                defer.Deferred.fromCoroutine(self._wait_for(outcome, question, told, frame))
                return
            if question is not None:
                self._answer(question, outcome)
        self._handled(frame)

    async def _wait_for(
        self,
        outcome: Awaitable[BusEntry | None],
        question: Asking | None,
        told: BusEntry,
        frame: TakenFrame,
    ) -> None:
        try:
            answer = await outcome
        except Exception as error:
            self._answer(question, None, self._why(told, error))
        else:
            self._answer(question, answer)
        self._at_once -= 1
        self._handled(frame)
        self.go_on()

    def _why(self, told: BusEntry, error: Exception) -> str:
        """Why an entry was not handled, as a sentence for whoever asked."""
        if isinstance(error, FORESEEN):
            return str(error)[:MAX_REASON_LENGTH] or error.__class__.__name__
        kind = told.__class__.__name__
        _log.failure("{kind} of node {node} was not handled", kind=kind, node=self.node)
        return f"{kind} was not handled, since something failed"

    def _answer(self, question: Asking | None, answer: BusEntry | None, why: str = "") -> None:
        if question is not None:
            self.tell(Answered(question.number, answer, why))  # type: ignore[arg-type]

    # -- acknowledgements -------------------------------------------------------------------------

    def _handled(self, frame: TakenFrame) -> None:
        frames = self._inbox.done(frame)
        if frames:
            self._acknowledge_soon(frames)

    @property
    def _acknowledgement_is_due(self) -> bool:
        frames = ACKNOWLEDGE_AFTER_FRAMES if self.terms.acknowledge_after_s else 1
        return self._unacknowledged >= frames

    def _acknowledge_soon(self, frames: int) -> None:
        """Acknowledge so many more frames with the next one of ours, or else by itself."""
        self._unacknowledged += frames
        if self._acknowledgement_is_due:
            self._flush_later()
        elif self._acknowledge_later is None and not self._closed:
            self._acknowledge_later = self.terms.clock.callLater(
                self.terms.acknowledge_after_s, self._acknowledge_late
            )

    def _acknowledge_late(self) -> None:
        self._acknowledge_later = None
        if self._unacknowledged:
            self._acknowledge()

    def _acknowledge(self) -> None:
        if self.carrier is not None:
            self._unacknowledged = 0
            self.carrier.send(header(FrameKind.ACKNOWLEDGEMENT, 0, self._inbox.handled))


__all__ = ["Carrier", "Conversation", "ConversationState", "Terms"]
