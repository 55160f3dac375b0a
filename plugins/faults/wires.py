"""Wires: the connections of clients, components and servers, with what goes wrong on them."""

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ISystemHandle,
)
from zope.interface import implementer

from xmppd.events import Undo
from xmppd.net.connection_handler import Admission, ConnectionHandler
from xmppd.net.listener import Listeners
from xmppd.net.transport import Contexts, Ranked, Returning, Transport, Watchable
from xmppd.s2s.foreign_routes import ForeignRoutes
from xmppd.session.peer_counts import Peer
from xmppd.stanza import JID
from xmppd.stanza.xml import write
from xmppd.stream.framing import EventReader
from xmppd.stream.stream_parser import ParserLimits, Received, StreamClosed, StreamOpened

from .record import SeenRecord
from .table import Fault, FaultTable, belongs, names_of

MAX_HELD_BYTES = 16 << 20
"""What may wait on a frozen or slow connection: it is cut when there is more."""

CUT_AFTER_S = 0.02
"""A connection is cut so long after the bytes that are to arrive: they leave before."""

Event = StreamOpened | Received | StreamClosed

AT_ELEMENTS = ("cut", "freeze", "drop")
"""The faults that happen at an element."""


class Piece(NamedTuple):
    """Bytes that leave later.

    Attributes:
        due: The time at which they may, on the clock.
        data: The bytes.
    """

    due: float
    data: bytes


class FaultyWire:
    """One connection, between its ConnectionHandler and its transport.

    Args:
        handler: The connection.
        wires: All of them.

    Attributes:
        handler: The connection.
        cut: Whether nothing leaves or comes any more.
        frozen: The fault that keeps it still; None if none does.
        paused: Whether the handler reads nothing just now.
    """

    max_held_bytes = MAX_HELD_BYTES

    def __init__(self, handler: ConnectionHandler, wires: "Wires") -> None:
        self.handler = handler
        self.transport: Transport = handler.transport
        self.reader: EventReader = handler.reader
        self.cut = self.paused = False
        self.frozen: Fault | None = None
        self._wires, self._clock = wires, wires.clock
        self._pieces: deque[Piece] = deque()
        self._held_bytes = 0
        self._next: tuple[float, Event] | None = None
        self._behind: Callable[[], None] | None = None
        self._then: Callable[[], None] | None = None
        self._timers: set[IDelayedCall] = set()
        handler.transport = FaultyTransport(self)
        handler.reader = FaultyReader(self)

    @property
    def peer(self) -> Peer:
        """Who is at the other end, or was."""
        return self.handler.peer

    @property
    def names(self) -> tuple[str, ...]:
        """The addresses by which that is meant."""
        return names_of(self.peer)

    # -- towards the client ---------------------------------------------------------------------

    def goes(self, data: bytes) -> None:
        """Take one element that is written."""
        if self.cut:
            return
        xml = data[max(data.find(b"<"), 0) :].decode(errors="replace")
        fault = self._fault("got", xml)
        if fault is None:
            self._wires.record.add(self, "got", xml)
            self._send(data)
            return
        self._wires.table.happens(fault)
        if fault.name == "drop":
            return
        sent = {"before": 0, "inside": len(data) // 2, "behind": len(data)}[fault.at]
        if sent == len(data):
            self._wires.record.add(self, "got", xml)
        if sent:
            self._send(data[:sent])
        if fault.name == "cut":
            self.cut_off()
        else:
            self.freeze(fault)
            if data[sent:]:
                self._send(data[sent:])

    def _send(self, data: bytes) -> None:
        """Send bytes behind those that wait."""
        delay_s = self._wires.delay_s(self.names)
        splits = self._wires.table.first(self.names, "split") is not None
        if not (delay_s or splits or self._pieces or self.frozen):
            self.transport.write(data)
            return
        due = self._clock.seconds() + delay_s
        pieces = (data[i : i + 1] for i in range(len(data))) if splits else (data,)
        self._pieces.extend(Piece(due, piece) for piece in pieces)
        self._held_bytes += len(data)
        if self._held_bytes > self.max_held_bytes:
            self.cut_off()
        else:
            self._later(0.0, self._go_on)

    def _go_on(self) -> None:
        """Send the next piece that is due, in a turn of its own."""
        if self.cut or self.frozen:
            return
        if self._pieces:
            wait_s = self._pieces[0].due - self._clock.seconds()
            if wait_s <= 0:
                data = self._pieces.popleft().data
                self._held_bytes -= len(data)
                self.transport.write(data)
                wait_s = 0.0
            self._later(wait_s, self._go_on)
        elif self._then is not None:
            then, self._then = self._then, None
            then()

    def when_sent(self, then: Callable[[], None]) -> None:
        """Do something to the transport behind all that waits."""
        if self._pieces:
            self._then = then
        else:
            then()

    # -- from the client ------------------------------------------------------------------------

    def next(self) -> Event | None:
        """The next event of the stream that is to be handled."""
        if self._behind is not None:
            behind, self._behind = self._behind, None
            behind()
        while not (self.cut or self.frozen):
            event = self._due()
            if event is None:
                return None
            if isinstance(event, StreamOpened) and self._wires.is_out(event):
                self.cut_off()
                return None
            if not isinstance(event, Received) or self._comes(event):
                return event
        return None

    def _due(self) -> Event | None:
        """The next event, if its time has come."""
        if self._next is None:
            event = self.reader.next()
            if event is None:
                return None
            self._next = self._clock.seconds() + self._wires.delay_s(self.names), event
        due, event = self._next
        wait_s = due - self._clock.seconds()
        if wait_s > 0:
            self._later(wait_s, self.read_on)
            return None
        self._next = None
        return event

    def _comes(self, received: Received) -> bool:
        """Take one element that came; returns whether it is to be handled now."""
        xml = (received.raw or write(received.tree)).decode(errors="replace")
        fault = self._fault("sent", xml)
        if fault is None:
            self._wires.record.add(self, "sent", xml)
            return True
        self._wires.table.happens(fault)
        if fault.name == "drop":
            self._wires.record.add(self, "sent", xml)
            return False
        if fault.at == "behind":
            self._wires.record.add(self, "sent", xml)
            if fault.name == "cut":
                self.cut = True  # it is handled, and nothing of that arrives
                self._behind = self.cut_off
            else:
                self.freeze(fault)
            return True
        if fault.name == "cut":
            self.cut_off()
        else:
            self._next = self._clock.seconds(), received
            self.freeze(fault)
        return False

    @property
    def unread(self) -> bool:
        """Whether there is something behind the events so far."""
        return self._next is not None or self.reader.unread

    def read_on(self) -> None:
        """Have the handler look for events again."""
        self.handler.dataReceived(b"")

    # -- what goes wrong ------------------------------------------------------------------------

    def _fault(self, direction: str, xml: str) -> Fault | None:
        """The first fault that happens at this element."""
        return next(
            (
                fault
                for fault in self._wires.table.found(self.names, *AT_ELEMENTS)
                if fault.match.fits(direction, xml)
            ),
            None,
        )

    def cut_off(self, after_s: float = CUT_AFTER_S) -> None:
        """Cut the connection, as a broken network does.

        Args:
            after_s: After that; what was sent before then arrives. Meanwhile whatever else is sent
                is lost.
        """
        self.cut = True
        self._pieces.clear()
        if not after_s:
            self.transport.abortConnection()
            return
        abort = self.transport.abort if isinstance(self.transport, Returning) else None
        self._later(after_s, abort or self.transport.abortConnection)

    def freeze(self, fault: Fault) -> None:
        """Let nothing through, either way, though the connection stays."""
        self.frozen = fault
        self.transport.pauseProducing()

    def thaw(self) -> None:
        """Let everything through that has waited."""
        if self.frozen is None or self.cut:
            return
        self.frozen = None
        self._later(0.0, self._go_on)
        if not self.paused:
            self.transport.resumeProducing()
            self._later(0.0, self.read_on)

    def closed(self) -> None:
        """Stop all that waits, since the connection is gone."""
        self.cut = True
        self._pieces.clear()
        for timer in tuple(self._timers):
            timer.cancel()
        self._timers.clear()

    def _later(self, wait_s: float, call: Callable[[], None]) -> None:
        def do() -> None:
            self._timers.discard(timer)
            call()

        timer = self._clock.callLater(wait_s, do)
        self._timers.add(timer)


@implementer(ISystemHandle)
class FaultyTransport(Ranked, Watchable, Returning):
    """The transport as the handler knows it.

    Args:
        wire: The connection.
    """

    def __init__(self, wire: FaultyWire) -> None:
        self._wire = wire
        self._inner = wire.transport

    def write(self, data: bytes, /) -> None:
        """Send an element, unless something is wrong with it."""
        self._wire.goes(data)

    def pauseProducing(self) -> None:
        """Read no more."""
        self._wire.paused = True
        self._inner.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again, unless it is frozen."""
        self._wire.paused = False
        if self._wire.frozen is None:
            self._inner.resumeProducing()

    def loseConnection(self) -> None:
        """Close when all has left."""
        self._wire.when_sent(self._inner.loseConnection)

    def loseWriteConnection(self) -> None:
        """Close our half when all has left."""
        self._wire.when_sent(self._inner.loseWriteConnection)

    def abortConnection(self) -> None:
        """Close at once."""
        self._inner.abortConnection()

    def abort(self) -> None:
        """Cut it off."""
        self._inner.abort() if isinstance(self._inner, Returning) else self.abortConnection()

    def startTLS(self, contextFactory: Contexts, /) -> None:
        """Begin TLS."""
        self._inner.startTLS(contextFactory)

    def getPeer(self) -> IAddress:
        """The address of the peer."""
        return self._inner.getPeer()

    def getHandle(self) -> object:
        """The socket, or OpenSSL's connection."""
        return self._inner.getHandle()

    def watch_queue(self, watcher: IPushProducer) -> None:
        """Tell it when enough waits, and when all has left."""
        if isinstance(self._inner, Watchable):
            self._inner.watch_queue(watcher)
        else:
            IConsumer(self._inner).registerProducer(watcher, streaming=True)

    def unsent(self) -> list[bytes]:
        """What the kernel has not taken; what waits here is taken for sent, as on a dead line."""
        return self._inner.unsent() if isinstance(self._inner, Returning) else []

    def take_queued(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Take back what waits for the kernel."""
        return self._inner.take_queued(wanted) if isinstance(self._inner, Returning) else []

    @property
    def goes_first(self) -> bool:
        """Whether it is served before others."""
        return isinstance(self._inner, Ranked) and self._inner.goes_first

    @goes_first.setter
    def goes_first(self, first: bool) -> None:
        if isinstance(self._inner, Ranked):
            self._inner.goes_first = first


class FaultyReader:
    """The reader as the handler knows it.

    Args:
        wire: The connection.
    """

    def __init__(self, wire: FaultyWire) -> None:
        self._wire = wire
        self._inner = wire.reader
        self.restart, self.feed, self.next = self._inner.restart, self._inner.feed, wire.next

    @property
    def limits(self) -> ParserLimits:
        """The limits of what the peer may send."""
        return self._inner.limits

    @limits.setter
    def limits(self, limits: ParserLimits) -> None:
        self._inner.limits = limits

    @property
    def unread(self) -> bool:
        """Whether there is something behind the events returned so far."""
        return self._wire.unread


class Wires:
    """All connections that there are.

    Args:
        table: What goes wrong.
        record: Keeps what was on them.
        clock: The reactor's.
    """

    def __init__(self, table: FaultTable, record: SeenRecord, clock: IReactorTime) -> None:
        self.table = table
        self.record = record
        self.clock = clock
        self._wires: dict[ConnectionHandler, FaultyWire] = {}

    def opened(self, handler: ConnectionHandler) -> None:
        """Take in a new connection."""
        wire = self._wires[handler] = FaultyWire(handler, self)
        if self.table.first(wire.names, "outage") is not None:
            wire.cut_off()

    def closed(self, handler: ConnectionHandler) -> None:
        """Forget one that is gone."""
        wire = self._wires.pop(handler, None)
        if wire is not None:
            wire.closed()

    def of(self, fault: Fault) -> Iterator[FaultyWire]:
        """The connections that a fault concerns, now."""
        for wire in tuple(self._wires.values()):
            if not wire.cut and fault.concerns(wire.names):
                yield wire

    def delay_s(self, names: tuple[str, ...]) -> float:
        """By how much all is late that somebody gets, and sends."""
        return sum(fault.delay_s for fault in self.table.found(names, "delay"))

    def is_out(self, header: StreamOpened) -> bool:
        """Whether a stream is of a component or server that nobody is to reach."""
        named = {header.attributes.get("from", ""), header.attributes.get("to", "")} - {""}
        return any(fault.whom in named for fault in self.table.found(named, "outage"))

    def frozen(self) -> list[Fault]:
        """The faults that keep connections still."""
        found = (wire.frozen for wire in self._wires.values())
        return list(dict.fromkeys(fault for fault in found if fault is not None))

    def thaw(self, whom: JID | None = None) -> int:
        """Have the connections go on that are frozen, or those of somebody; returns how many."""
        cold = [
            wire
            for wire in self._wires.values()
            if wire.frozen and (whom is None or any(belongs(name, whom) for name in wire.names))
        ]
        for wire in cold:
            wire.thaw()
        return len(cold)

    def clear(self) -> None:
        """Have all go on as if nothing had been, since this plugin goes."""
        self.table.clear()
        self.thaw()


def watched_connections(
    listeners: Listeners, servers: ForeignRoutes, wires: Wires
) -> Iterator[Undo]:
    """Take in each new connection; yields what ends that."""
    for kind in listeners.kinds.values():
        yield _watched(kind.connections, wires)
    yield _watched(servers.outgoing_connections, wires)


def _watched(place: Admission, wires: Wires) -> Undo:
    opened, closed = place.opened, place.closed

    def note_opened(handler: ConnectionHandler) -> None:
        wires.opened(handler)
        opened(handler)

    def note_closed(handler: ConnectionHandler) -> None:
        wires.closed(handler)
        closed(handler)

    vars(place).update(opened=note_opened, closed=note_closed)

    def undo() -> None:
        del vars(place)["opened"], vars(place)["closed"]

    return undo
