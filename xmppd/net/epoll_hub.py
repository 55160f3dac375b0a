"""The inner epoll: many sockets behind one readable descriptor of whatever reactor runs.

A *turn* is one call of :meth:`Hub.doRead`: sockets that are ready are served in a row, then the
bytes written to each connection leave in one send, then connections that ended are told so. Nothing
else of Twisted is needed or replaced: timers, threads and all other sockets stay with the reactor.
"""

import os
import select
from collections import deque
from collections.abc import Callable
from itertools import islice
from math import inf
from time import monotonic
from typing import ClassVar, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IDelayedCall, IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

P = ParamSpec("P")
T = TypeVar("T")

_log = Logger()

TURN_S = 0.010
"""Seconds that a turn may serve; sockets that are left come first in the next one, after timers."""

MAX_EVENTS = 1_024
MAX_ACCEPTS = 16

MAX_LOOKS = 32
"""How often a turn may ask the kernel who is ready; at each look a connection under TLS reads one
record."""

MAX_HANDSHAKE_STEPS = 10
"""A handshake step is some 0.5 ms of arithmetic: ten of them are half a turn."""

OTHERS_IN_BETWEEN = 4
"""In every second turn so many others are served first, so that none waits for ever."""


class Reactor(Protocol):
    """The parts of a reactor that the hub uses, of IReactorFDSet and IReactorTime."""

    def addReader(self, reader: IReadDescriptor) -> None: ...

    def removeReader(self, reader: IReadDescriptor) -> None: ...

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object
    ) -> IDelayedCall: ...


class Written(Protocol):
    """What has something to send when a turn ends."""

    def flush(self) -> None:
        """Send what was written during this turn."""

    def failed(self) -> None:
        """Log an error that was raised by it, and end this one only."""


class Descriptor(Written, Protocol):
    """A connection or a listening port in the hub."""

    fd: int
    mask: int
    goes_first: bool

    @property
    def queued_bytes(self) -> int:
        """The bytes that the kernel has not taken yet."""

    def serve(self, event: int) -> None:
        """Serve an event; a descriptor that was closed meanwhile does nothing."""

    def close(self, reason: Failure) -> None:
        """Leave the hub; the rest is done by :meth:`closed`."""

    def closed(self) -> None:
        """Close the socket and tell the owner, at the end of the turn."""


@implementer(IReadDescriptor)
class Hub:
    """One epoll of our own, registered with the reactor as one reader.

    It appears with the first socket and goes with the last, so it is made after twistd has forked.
    Nothing a protocol raises may leave :meth:`doRead`: the reactor would drop the hub, and with it
    every client.

    Attributes:
        looks_again: Whether this turn asks the kernel once more who is ready, since somebody has
            not read all that may be there. One question for all costs less than one for each.
        turns: The number of turns that are over.
        busy_s: The seconds that they took together.
    """

    _hubs: ClassVar[WeakKeyDictionary[Reactor, "Hub"]] = WeakKeyDictionary()

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.accepts_left = MAX_ACCEPTS
        self.handshake_steps_left = MAX_HANDSHAKE_STEPS
        self.looks_again = False
        self._pid = os.getpid()
        self._epoll = select.epoll()
        self._in_turn = False
        self._turn_to_come: IDelayedCall | None = None
        self._descriptors: dict[int, Descriptor] = {}
        self._parked: set[Descriptor] = set()
        self._ready: dict[Descriptor, int] = {}
        self._written: list[Written] = []
        self._dead: deque[Descriptor] = deque()
        self._in_between = 0
        self._last_in_line: Descriptor | None = None
        self._in_line_since = 0.0
        self._waited_s = 0.0
        self.turns = 0
        self.busy_s = 0.0
        reactor.addReader(self)

    @classmethod
    def of(cls, reactor: Reactor) -> "Hub":
        """The hub of this reactor in this process: an epoll must not be shared across fork()."""
        hub = cls._hubs.get(reactor)
        if hub is None or hub._pid != os.getpid():
            hub = cls._hubs[reactor] = cls(reactor)
        return hub

    @classmethod
    def late_s(cls, reactor: object) -> float:
        """How long a ready socket waits here; 0 while one turn serves all."""
        hub = cls.known(reactor)
        if hub is None or hub._last_in_line is None:
            return 0.0
        return max(hub._waited_s, monotonic() - hub._in_line_since)

    @classmethod
    def known(cls, reactor: object) -> "Hub | None":
        """The hub of this reactor, if there is one."""
        return next((hub for hub in cls._hubs.values() if hub.reactor is reactor), None)

    @property
    def queued_bytes(self) -> int:
        """The bytes that wait for peers, of all connections."""
        return sum(descriptor.queued_bytes for descriptor in self._descriptors.values())

    def fileno(self) -> int:
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "epoll"

    def add(self, descriptor: Descriptor) -> None:
        """Watch a new descriptor for the events in its mask."""
        self._epoll.register(descriptor.fd, descriptor.mask)
        self._descriptors[descriptor.fd] = descriptor

    def watch(self, descriptor: Descriptor, mask: int) -> None:
        """Watch for other events."""
        descriptor.mask = mask
        if descriptor in self._parked:
            self._parked.discard(descriptor)
            self._epoll.register(descriptor.fd, mask)
        else:
            self._epoll.modify(descriptor.fd, mask)

    def park(self, descriptor: Descriptor) -> None:
        """Watch for nothing until the next :meth:`watch`.

        A mask of 0 is not enough: errors and hang-ups cannot be masked and would be reported for
        ever.
        """
        if descriptor not in self._parked:
            self._parked.add(descriptor)
            self._epoll.unregister(descriptor.fd)

    def remove(self, descriptor: Descriptor) -> None:
        """Take the descriptor out at once, and have it buried when the turn ends.

        At once, since a copy of it in a child process would keep it in the epoll for good. Its
        number stays taken until the turn ends, so that no event of this turn can reach another
        socket under the same number.
        """
        del self._descriptors[descriptor.fd]
        if descriptor in self._parked:
            self._parked.discard(descriptor)
        else:
            self._epoll.unregister(descriptor.fd)
        self._dead.append(descriptor)
        self._take_turn_soon()

    def flush_later(self, written: Written) -> None:
        """Flush something when the turn ends, or in a turn of its own."""
        self._written.append(written)
        if not self._in_turn:
            self._take_turn_soon()

    def serve_later(self, descriptor: Descriptor, event: int) -> None:
        """Serve a descriptor in the next turn, since it has work that the epoll cannot know of."""
        self._ready[descriptor] = self._ready.get(descriptor, 0) | event
        self._take_turn_soon()

    def guarded(
        self, descriptor: Descriptor, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Call code of a protocol: whatever it raises ends this descriptor, and no other. A
        SystemExit ends one client only, too.
        """
        try:
            return function(*args, **kwargs)
        except BaseException:
            descriptor.failed()
            return None

    def doRead(self) -> None:
        if self._in_turn or self._epoll.closed:
            return  # A handler iterates the reactor; turns do not nest.
        self._forget_turn_to_come()
        self._in_turn = True
        began = monotonic()
        try:
            self._serve(began + TURN_S)
        finally:
            self._end_turn(until=monotonic() + TURN_S)
            self.turns += 1
            self.busy_s += monotonic() - began

    def connectionLost(self, reason: Failure) -> None:
        """Send the last bytes when the reactor stops, then tell all connections."""
        self._end_turn(until=inf)
        for descriptor in list(self._descriptors.values()):
            descriptor.close(reason)
        self._end_turn(until=inf)

    def _take_turn_soon(self) -> None:
        if not self._in_turn and self._turn_to_come is None:
            self._turn_to_come = self.reactor.callLater(0, self.doRead)

    def _forget_turn_to_come(self) -> None:
        """Cancel an ordered turn, since one that comes for another reason does its work."""
        if self._turn_to_come is not None:
            if self._turn_to_come.active():
                self._turn_to_come.cancel()
            self._turn_to_come = None

    def _serve(self, deadline: float) -> None:
        self.accepts_left = MAX_ACCEPTS
        self.handshake_steps_left = MAX_HANDSHAKE_STEPS
        self._in_between = OTHERS_IN_BETWEEN - self._in_between
        ready, self._ready = self._ready, {}
        for _ in range(MAX_LOOKS):
            self.looks_again = False
            self._look(ready)
            if not self._serve_each(ready, deadline):
                return
            if not self.looks_again:
                break
            ready = {}
        self._last_in_line = None

    def _look(self, ready: dict[Descriptor, int]) -> None:
        """Add the sockets that the kernel names now to those left over, which keep their order."""
        for fd, event in self._epoll.poll(0, MAX_EVENTS):
            descriptor = self._descriptors.get(fd)
            if descriptor is not None:  # It may be a forked child's.
                ready[descriptor] = ready.get(descriptor, 0) | event

    def _serve_each(self, ready: dict[Descriptor, int], deadline: float) -> bool:
        """Serve those that are ready; returns whether there was time for all."""
        queue = iter(_in_order(ready, self._in_between).items())
        for descriptor, event in queue:
            try:
                descriptor.serve(event)
            except BaseException:  # As guarded, without the price of a call.
                descriptor.failed()
            if monotonic() > deadline:
                self._stand_in_line(dict(queue))
                return False
        return True

    def _stand_in_line(self, left_over: dict[Descriptor, int]) -> None:
        """Note how long the last socket waits that this turn has not served."""
        if self._last_in_line not in left_over:
            now = monotonic()
            self._waited_s = now - self._in_line_since if self._last_in_line else 0.0
            self._last_in_line = next(reversed(left_over), None)
            self._in_line_since = now
        self._ready = left_over | self._ready

    def _end_turn(self, until: float) -> None:
        """Send written bytes, then tell connections that ended; either may cause more of the other.

        Where many end at once, and there is much to do for each, the others wait for the next turn.
        """
        self._in_turn = True
        try:
            while self._written or self._dead:
                self._flush_written()
                self._bury_dead(until)
                if monotonic() >= until:
                    break
        finally:
            self._in_turn = False
        if not self._descriptors and not self._dead:
            self._close()
        elif self._ready or self._dead or self._written:
            self._take_turn_soon()

    def _flush_written(self) -> None:
        written, self._written = self._written, []
        for descriptor in written:
            try:
                descriptor.flush()
            except BaseException:  # A producer's, which hears that there is room again.
                descriptor.failed()

    def _bury_dead(self, until: float) -> None:
        while self._dead:
            try:
                self._dead.popleft().closed()
            except BaseException:  # connectionLost's, or a factory's doStop.
                _log.failure("handling a lost connection failed")
            if monotonic() >= until:
                return

    def _close(self) -> None:
        self._last_in_line = None
        if self._hubs.get(self.reactor) is self:
            del self._hubs[self.reactor]
        self._forget_turn_to_come()
        if not self._epoll.closed:
            self.reactor.removeReader(self)
            self._epoll.close()


def _in_order(ready: dict[Descriptor, int], in_between: int) -> dict[Descriptor, int]:
    """The ready sockets in their order: those with priority, behind a few of the others, oldest
    first.
    """
    first = {descriptor: event for descriptor, event in ready.items() if descriptor.goes_first}
    if not first or len(first) == len(ready):
        return ready
    others = (waiting for waiting in ready.items() if not waiting[0].goes_first)
    return dict(islice(others, in_between)) | first | ready
