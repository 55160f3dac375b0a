"""HTTPConnections: all connections of HTTP, their limits and the silent ones (HT-14)."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from xmppd.config.config import LogSettings, WebSettings
from xmppd.host.machine import Descriptors
from xmppd.net.wire_counts import WireCounts
from xmppd.web.forwarded import is_in

SWEEP_S = 2.0

TURN_S = 0.005
"""A sweep goes on in the next turn of the reactor when it has taken so long."""

LOGGER = "xmppd.web.http_channel"
"""What tells each request."""


class LookedAfter(Protocol):
    """What is looked at from time to time."""

    def sweep(self, now: float) -> None:
        """End what takes too long."""


class Counted(LookedAfter, Protocol):
    """A connection, as far as it is counted."""

    @property
    def peer(self) -> str:
        """The address at the other end of its socket."""

    @property
    def descriptor(self) -> int:
        """The number of its socket; -1 if there is none."""

    def close(self) -> None:
        """End it in order, when what is under way is answered."""

    def abort(self) -> None:
        """Cut it off."""


class HTTPConnections:
    """All connections of HTTP, from whichever endpoint.

    One sweep over all of them looks for the silent; no connection has a timer of its own.

    Args:
        settings: The limits.
        clock: The reactor's.
        descriptors: The number of connections there may be, of all kinds together.

    Attributes:
        settings: The same.
        connections: All of them.
        silent: Those that wait for a request, or the rest of one; the oldest first.
        answers: How often each status was answered, by the path.
        tells_each: Whether the log tells each request: a line costs a tenth of a poll.
        traffic: Counts what they carry; what is spoken on a WebSocket is not in it.
        on_sweep: Called by the same sweep.
        also: Give what is swept beside connections, since it is made of requests.
    """

    def __init__(
        self, settings: WebSettings, clock: IReactorTime, descriptors: Descriptors
    ) -> None:
        self.settings = settings
        self.descriptors = descriptors
        self.connections: set[Counted] = set()
        self.silent: dict[Counted, None] = {}
        self.answers: Counter[tuple[str, str]] = Counter()
        self.traffic = WireCounts()
        self.tells_each = True
        self._addresses: Counter[str] = Counter()
        self._counted: dict[Counted, str] = {}
        self.on_sweep: tuple[Callable[[float], None], ...] = ()
        self.also: tuple[Callable[[], Iterable[LookedAfter]], ...] = ()
        self._to_come: IDelayedCall | None = None
        self._empty: Deferred[None] | None = None
        self._clock = clock
        self._sweep = LoopingCall(self.sweep)
        self._sweep.clock = clock

    def use(self, settings: WebSettings) -> None:
        """Take other limits; connections that exist stay."""
        self.settings = settings

    def use_log(self, settings: LogSettings) -> None:
        """Tell each request where the log is that detailed."""
        levels = {"": settings.level, **settings.levels}
        names = [name for name in levels if f"{LOGGER}.".startswith(f"{name}." if name else "")]
        self.tells_each = levels[max(names, key=len)] == "debug"

    def start(self) -> None:
        """Begin to look after connections."""
        self._sweep.start(SWEEP_S, now=False)

    def opened(self, connection: Counted) -> None:
        """Count a new connection; where there is no room, the one that was silent longest is cut
        off (CH-9).
        """
        self.connections.add(connection)
        fits = self.descriptors.have_room_for(connection.descriptor)
        if self.silent and not (fits and len(self.silent) < self.settings.max_silent_connections):
            next(iter(self.silent)).abort()
        elif not fits:
            connection.abort()
            return
        self.silent[connection] = None

    def admit(self, connection: Counted) -> bool:
        """Count a connection for its address, which is known with its first bytes; whether there is
        room. A trusted proxy's is not counted: it speaks for many.
        """
        peer = connection.peer
        if is_in(peer, self.settings.proxies):
            return True
        if self._addresses[peer] >= self.settings.max_connections_per_address:
            return False
        self._addresses[peer] += 1
        self._counted[connection] = peer
        return True

    def asked(self, connection: Counted) -> None:
        """Note that a request is under way."""
        self.silent.pop(connection, None)

    def answered(self, connection: Counted) -> None:
        """Note that none is."""
        if connection in self.connections:
            self.silent[connection] = None

    def taken_over(self, connection: Counted) -> None:
        """Note that another protocol has a connection, which is counted there."""
        self.silent.pop(connection, None)
        self._forget_address(connection)

    def closed(self, connection: Counted) -> None:
        """Forget a connection that is gone."""
        self.connections.discard(connection)
        self.silent.pop(connection, None)
        self._forget_address(connection)
        self._tell_if_empty()

    def _forget_address(self, connection: Counted) -> None:
        peer = self._counted.pop(connection, None)
        if peer is not None:
            self._addresses[peer] -= 1
            if not self._addresses[peer]:
                del self._addresses[peer]

    def sweep(self) -> None:
        """End what takes too long, a while at a time: thousands of heads may end at once."""
        now = self._clock.seconds()
        for look in self.on_sweep:
            look(now)
        if self._to_come is None:
            also = chain.from_iterable(made() for made in self.also)
            self._go_on_sweeping(chain(tuple(self.connections), also), now)

    def _go_on_sweeping(self, left: Iterator[LookedAfter], now: float) -> None:
        self._to_come = None
        until = self._clock.seconds() + TURN_S
        for one in left:
            one.sweep(now)
            if self._clock.seconds() > until:
                self._to_come = self._clock.callLater(0, self._go_on_sweeping, left, now)
                return

    def stop(self) -> None:
        """Look after connections no more."""
        if self._sweep.running:
            self._sweep.stop()
        if self._to_come is not None:
            self._to_come.cancel()
            self._to_come = None

    def close(self) -> Deferred[None]:
        """Close all, when what is under way is answered; done when the last one is gone."""
        empty = self._empty = Deferred[None]()
        for connection in tuple(self.connections):
            connection.close()
        self._tell_if_empty()
        return empty

    def abort(self) -> None:
        """Cut all off."""
        for connection in tuple(self.connections):
            connection.abort()

    def _tell_if_empty(self) -> None:
        if self._empty is not None and not self.connections:
            empty, self._empty = self._empty, None
            self.stop()
            empty.callback(None)
