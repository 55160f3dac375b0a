"""Stream management (:xep:`0198`) of one session: the counters, and what its client has not
acknowledged.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import takewhile

from twisted.internet.defer import Deferred

from xmppd.config.config import StreamManagementSettings
from xmppd.session.backlog import EMPTY, OWN_ROOM, Backlog, Load, Newest, Waiting
from xmppd.stanza import Later, Message, Stanza, StreamCondition, StreamError, ns
from xmppd.stanza.delay import Kept, Returned, Stored
from xmppd.stanza.phrases import counted

WRAP = 2**32
"""Counters are unsigned 32 bit numbers, and begin anew behind the last one (§4)."""

MAX_TOLD = 100
"""Recipients that are remembered between two acknowledgements."""

REQUEST = f"<r xmlns='{ns.STREAM_MANAGEMENT}'/>".encode()


Write = Callable[[bytes], None]
"""Sends one element."""


@dataclass(frozen=True)
class Told:
    """The addressees of a client's messages that have not been made safe yet.

    Attributes:
        to: Their addresses as the client wrote them; None if those are too many to be kept.
        since: The time of the first of them, on the steady clock.
    """

    to: set[str] | None
    since: float

    def __or__(self, later: "Told") -> "Told":
        together = None if self.to is None or later.to is None else self.to | later.to
        if together is not None and len(together) > MAX_TOLD:
            together = None
        return Told(together, self.since)


class StreamManagement:
    """Counters of a session, both ways, and what its client has not acknowledged (RS-1 to RS-3).

    Attributes:
        settings: The limits of what may be unacknowledged, and when the client is asked.
        key: The key by which its client can resume it; None if it cannot.
        max_s: The time that it stays detached.
        handled: The number of the client's stanzas that were handled; the ``h`` of our ``<a/>``.
        sent: The number of stanzas that the client was sent; the highest ``h`` that it may say.
        load: The size of what is kept until it is acknowledged; of broadcast presences only the
            newest of each sender.
        work: The stanza of the client's that is being handled and has to wait; None if none has.
        told: The addressees of the client's messages that are not being secured yet.
        securing: Done when the messages before are safe, or cannot be made so; None if none are
            being secured.
        asked: For each ``<r/>`` of the client's present connection that has no answer yet, the
            number of stanzas that had been handled when it came.
        held: Of the messages that are unacknowledged or wait, those that are in the store as well.
        misplaced: The messages in the store that were sent by another count than the store knows.
        place: Called when there are such: tells the store, then writes what :meth:`uncork` gives.
        waits: Called with each stanza that waits while the session is detached.
    """

    __slots__ = (
        "_acknowledged",
        "_corked",
        "_last",
        "_newest",
        "_now",
        "_requested",
        "_unacknowledged",
        "_unrequested",
        "_urgent",
        "asked",
        "handled",
        "held",
        "key",
        "load",
        "max_s",
        "misplaced",
        "place",
        "securing",
        "sent",
        "settings",
        "told",
        "waits",
        "work",
    )

    def __init__(
        self,
        settings: StreamManagementSettings,
        now: Callable[[], float],
        *,
        key: bytes | None = None,
        max_s: float = 0.0,
    ) -> None:
        self.settings = settings
        self.key = key
        self.max_s = max_s
        self.handled = self.sent = 0
        self.load = Load()
        self.work: Deferred[None] | None = None
        self.told = Told(set(), now())
        self.securing: Deferred[None] | None = None
        self.asked: deque[int] = deque()
        self.held: dict[Stanza, Kept] = {}
        self._now = now
        self._unacknowledged: dict[int, Waiting] = {}
        self._last = self._acknowledged = 0  # numbers in that, which do not begin anew
        self._newest = Newest()
        self.misplaced: list[Kept] = []
        self.place: Callable[[], None] | None = None
        self.waits: Callable[[Stanza], None] | None = None
        self._corked: list[bytes] | None = None
        self._unrequested = 0
        self._requested = False  # a request is open
        self._urgent = False  # among those it does not cover is a message

    def __len__(self) -> int:
        return len(self._unacknowledged)

    # -- stanzas to the client --------------------------------------------------------------------

    def now(self) -> float:
        """The steady clock's time, for stanzas that come now."""
        return self._now()

    def send(self, waiting: Waiting, write: Write) -> None:
        """Write a stanza, and keep it until it is acknowledged.

        An acknowledgement is asked for behind a message, unless a request is open, and behind a
        number of stanzas of any kind (RS-2); the request is an element of its own, and written as
        one (CH-11).
        """
        wire = self._keep(waiting)
        asks = self._unrequested >= self.settings.ack_every_stanzas or (
            self._urgent and not self._requested
        )
        if self.misplaced or self._corked is not None:
            self._hold_back([wire, self.request()] if asks else [wire], write)
            return
        write(wire)
        if asks:
            write(self.request())

    def send_all(self, waiting: Iterable[Waiting], write: Write, *, ask: bool) -> None:
        """Write several stanzas, and keep them until they are acknowledged.

        Args:
            waiting: In order.
            write: Takes one element.
            ask: Whether to ask for an acknowledgement behind all of them, message or not.
        """
        elements = [self._keep(each) for each in waiting]
        if not elements:
            return
        every = self.settings.ack_every_stanzas
        if self._wants_request or self._unrequested >= every or (ask and not self._requested):
            elements.append(self.request())
        if self.misplaced or self._corked is not None:
            self._hold_back(elements, write)
            return
        for each in elements:
            write(each)

    def _keep(self, waiting: Waiting) -> bytes:
        stanza, wire, _ = waiting
        self.sent = (self.sent + 1) % WRAP
        self._last += 1
        self._put(self._last, waiting)
        self._unrequested += 1
        if stanza.__class__ is Message:
            self._urgent = True
            if self.key is not None:
                kept = self._kept(stanza)
                if kept is not None and kept.position != self.sent:
                    kept.position = self.sent
                    self.misplaced.append(kept)
        return wire

    def _kept(self, stanza: Stanza) -> Kept | None:
        """The entry of a message in the store, if it has one. A message that another session has
        given back is held for this one from now on.
        """
        payload = stanza.payload
        if isinstance(payload, Stored):
            return payload.kept
        kept = self.held.get(stanza)
        if kept is None and isinstance(payload, Returned):
            kept = payload.stood.kept
            if kept is None or kept.over:
                return None
            self.held[stanza] = kept
            kept.position = 0  # by this one's counts it was not sent yet
        return kept

    def _hold_back(self, elements: list[bytes], write: Write) -> None:
        """Keep a message of the store back until the store knows its count: then it can be
        forgotten even if the server is killed, when the client comes back with its count.
        """
        if self._corked is not None:
            self._corked += elements
        elif self.place is not None:
            self._corked = elements
            self.place()
        else:
            for each in elements:
                write(each)

    def tell_places(self) -> None:
        """Have the store told the positions it does not know, also if no such message is sent now;
        earlier ones come first.
        """
        if self.misplaced:
            self._hold_back([], _nowhere)

    def take_misplaced(self) -> list[Kept]:
        """Take the messages whose position the store does not know, to tell it."""
        misplaced, self.misplaced = self.misplaced, []
        return misplaced

    def uncork(self) -> list[bytes]:
        """The elements that were kept back, to be written now."""
        corked, self._corked = self._corked, None
        return corked or []

    @property
    def _wants_request(self) -> bool:
        return self._urgent and not self._requested

    def _put(self, number: int, waiting: Waiting) -> None:
        stanza, wire, _ = waiting
        if stanza.to is None:
            for outdated in self._newest.add(stanza, number):
                if outdated is not None:
                    self.load.add(*self._unacknowledged.pop(outdated)[:2], -1)
        stanza.payload.forget_trees()
        self._unacknowledged[number] = waiting
        self.load.add(stanza, wire)

    def check(self, h: int) -> None:
        """Whether the client may say that it has handled so many.

        Raises:
            StreamError: UNDEFINED_CONDITION: so many were never sent (§6).
        """
        if self._outstanding(h) > self._last - self._acknowledged:
            raise StreamError(
                StreamCondition.UNDEFINED_CONDITION,
                f"your acknowledgement says {h}, but the server has sent "
                f"{counted(self.sent, 'stanza')}",
                application=f"<handled-count-too-high xmlns='{ns.STREAM_MANAGEMENT}'"
                f" h='{h}' send-count='{self.sent}'/>",
            )

    def acknowledge(self, h: int) -> list[Stanza]:
        """Forget as many stanzas as the client has handled.

        Returns:
            The stanzas that it had not acknowledged before, and that were not out of date.

        Raises:
            StreamError: UNDEFINED_CONDITION: so many were never sent.
        """
        self.check(h)
        arrived = []
        until = self._last - self._outstanding(h)
        for number in list(takewhile(until.__ge__, self._unacknowledged)):
            stanza, wire, _ = self._unacknowledged.pop(number)
            if stanza.to is None:
                self._newest.forget(stanza, number)
            self.load.add(stanza, wire, -1)
            arrived.append(stanza)
        self._acknowledged = until
        self._requested = False
        self._unrequested = min(self._unrequested, self._last - until)
        if not self._unrequested:
            self._urgent = False
        return arrived

    def request_again(self) -> bytes:
        """The request to write after an answer: another one, if a message came behind the last."""
        return self.request() if self._wants_request else b""

    def _outstanding(self, h: int) -> int:
        """The number of stanzas that were sent behind this one."""
        return (self.sent - h) % WRAP

    def is_late(self, now: float) -> bool:
        """Whether a stanza was sent too long ago without a request for its acknowledgement."""
        unrequested = self._unrequested
        if not unrequested:
            return False
        first = self._last - unrequested + 1
        oldest = next(filter(None, map(self._unacknowledged.get, range(first, self._last + 1))))
        return now - oldest[2] >= self.settings.ack_after_s

    def request(self) -> bytes:
        """An ``<r/>`` that covers all stanzas that were sent."""
        self._unrequested = 0
        self._urgent = False
        self._requested = True
        return REQUEST

    def has_room(self, backlog: Backlog | None) -> bool:
        """Whether the queue is within its limits, with what waits for the connection (RS-3)."""
        sent, limits = self.load, self.settings
        waiting = EMPTY if backlog is None else backlog.load
        return (
            sent.stanzas + waiting.stanzas <= limits.max_unacked_stanzas
            and sent.bytes + waiting.bytes <= limits.max_unacked_bytes
            and sent.own_bytes + waiting.own_bytes <= OWN_ROOM * limits.max_unacked_bytes
        )

    def unacknowledged(self) -> list[Waiting]:
        """The stanzas that were sent and are neither acknowledged nor out of date, in order."""
        return list(self._unacknowledged.values())

    def replace_unacknowledged(self, waiting: Iterable[Waiting]) -> None:
        """Keep other values of the same messages, in the same order."""
        for number, (stanza, wire, came) in zip(tuple(self._unacknowledged), waiting, strict=True):
            self.load.add(*self._unacknowledged[number][:2], -1)
            self.load.add(stanza, wire)
            self._unacknowledged[number] = stanza, wire, came

    def positions(self) -> list[int]:
        """The ``h`` that covers each unacknowledged stanza."""
        return [self._position(number) for number in self._unacknowledged]

    def _position(self, number: int) -> int:
        return (self.sent - self._last + number) % WRAP

    def restore(
        self,
        unacknowledged: Iterable[Waiting],
        positions: Iterable[int],
        *,
        handled: int,
        sent: int,
        outstanding: int,
    ) -> None:
        """Restore the state of a session of before a restart of the server.

        Args:
            unacknowledged: The stanzas that are kept.
            positions: For each of those the ``h`` that covers it.
            handled: As it was.
            sent: As it was.
            outstanding: The stanzas sent behind the last one that was acknowledged.
        """
        self.handled, self.sent, self._last = handled, sent, outstanding
        for waiting, position in zip(unacknowledged, positions, strict=True):
            self._put(outstanding - self._outstanding(position), waiting)

    @property
    def outstanding(self) -> int:
        """The number of stanzas sent behind the last one that was acknowledged."""
        return self._last - self._acknowledged

    def forget_unacknowledged(self) -> None:
        """Forget unacknowledged stanzas, which the caller has taken to send them again."""
        self.sent = (self.sent - self.outstanding) % WRAP
        self._last = self._acknowledged
        self._unacknowledged.clear()
        self._newest.clear()
        if self._corked is not None:
            self._corked.clear()  # and those sent again wait until the store has been told all
        self.load = Load()
        self._unrequested = 0
        self._requested = self._urgent = False

    def since(self, moment: float) -> Iterator[tuple[int, Waiting]]:
        """The stanzas sent that came since then, newest first; each with the ``h`` that covers
        it.
        """
        for number, waiting in reversed(self._unacknowledged.items()):
            if waiting[2] < moment:
                return
            yield self._position(number), waiting

    # -- stanzas from the client ------------------------------------------------------------------

    def count_handled(self, later: Later) -> Later:
        """Count a stanza of the client's when it has been handled, and not before (RS-1)."""
        if later is None:
            self.handled = (self.handled + 1) % WRAP
            return None
        return self._count_when_done(later)

    async def _count_when_done(self, later: Later) -> None:
        self.work = done = Deferred[None]()
        try:
            if later is not None:
                await later
            self.handled = (self.handled + 1) % WRAP
        finally:
            self.work = None
            done.callback(None)

    def tells(self, to: str) -> None:
        """Note the addressee of a client's message, which is not safe merely because it was
        handled.
        """
        told = self.told.to
        if told is not None:
            told.add(to)
            if len(told) > MAX_TOLD:
                self.told = Told(None, self.told.since)

    def take_told(self) -> Told:
        """Take the addressees of its messages until now, to make these safe."""
        told, self.told = self.told, Told(set(), self._now())
        return told

    def is_unsafe(self, told: Told) -> None:
        """Note that they could not be made safe."""
        self.told = told | self.told

    def answer(self) -> bytes:
        """The ``<a/>`` for the oldest ``<r/>``, with the count at its arrival."""
        return f"<a xmlns='{ns.STREAM_MANAGEMENT}' h='{self.asked.popleft()}'/>".encode()

    def forget_asked(self) -> None:
        """Forget requests whose connection is gone."""
        self.asked = deque()


def _nowhere(element: bytes) -> None:
    """Do nothing, since nothing is to be written."""
