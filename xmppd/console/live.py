"""Live: how the server does, as a few numbers: sampled now and then, and for those who look."""

from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from xmppd.host.metrics import Histogram, Metrics, Reading
from xmppd.pages import cells
from xmppd.web.request import HTTPError, HTTPResponse, Pieces

SAMPLE_S = 1.0
"""The time between two samples, while somebody looks (CN-9)."""

KEPT_EACH_S = 10.0
MAX_KEPT = 360
"""Samples that are kept: of an hour."""

MAX_WINDOWS = 32
"""Windows that are told at the same time."""

WIDTH, HEIGHT, TOP = 160, 30, 4

_READ = frozenset(
    (
        "traffic_bytes",
        "login_seconds",
        "logins_waiting",
        "loop_late_seconds",
        "presence_broadcasts",
        "presence_copies",
        "queued_bytes",
        "sessions",
        "stanzas",
    )
)
"""The metrics that are read, with one that adds up what others go by."""


@dataclass(frozen=True, slots=True)
class Readings:
    """What has been counted by a moment.

    Attributes:
        at: The moment, on the steady clock.
        sessions: Clients that are bound, with those that are detached.
        detached: These.
        messages: That came to be routed.
        presences: The same.
        copies: Of presences, to contacts.
        broadcasts: What these are copies of.
        queued_bytes: That wait for slow readers.
        late: How often the loop was looked at, and how late it was in all, in seconds.
        logins: How many, and the time they took in all, in seconds.
        waiting: Logins that wait for their turn.
    """

    at: float
    sessions: float
    detached: float
    messages: float
    presences: float
    copies: float
    broadcasts: float
    queued_bytes: float
    late: tuple[int, float]
    logins: tuple[int, float]
    waiting: float


@dataclass(frozen=True, slots=True)
class Tile:
    """A number for people.

    Attributes:
        key: Its name.
        title: What it is.
        value: It.
        unit: Its unit.
        note: What else there is to say.
        line: How it went in the last hour: the path of a drawing.
    """

    key: str
    title: str
    value: str
    unit: str
    note: str
    line: str


class Live:
    """The numbers.

    Args:
        metrics: Have all there are.
        clock: The reactor's.
    """

    def __init__(self, metrics: Metrics, clock: IReactorTime) -> None:
        self._metrics = metrics
        self._clock = clock
        self._kept: deque[Readings] = deque(maxlen=MAX_KEPT)
        self._last: Readings | None = None
        self._now: Readings | None = None
        self._windows: set[_Window] = set()
        self._sampling = LoopingCall(self._sample)
        self._sampling.clock = clock

    def look(self, now: float) -> None:
        """Keep a sample, if it is time."""
        if not self._kept or now - self._kept[-1].at >= KEPT_EACH_S:
            self._kept.append(self._totals())

    def tiles(self) -> list[Tile]:
        """The numbers of just now."""
        now = self._totals()
        before = self._before(now)
        return [
            Tile(
                "sessions", "Sessions", cells.number(now.sessions), "",
                f"{cells.number(now.detached)} detached", self._line(lambda a, b: b.sessions),
            ),
            self._rate("messages", "Messages", now, before, "/s"),
            self._copies(now, before),
            _bytes_tile(now, self._line(lambda a, b: b.queued_bytes)),
            self._mean("late", "Loop lag", now, before, "no login waits" if not now.waiting else
                       f"{cells.number(now.waiting)} logins wait"),
            self._mean("logins", "Login", now, before, f"{now.logins[0]:,} since the start"),
        ]  # fmt: skip

    def _before(self, now: Readings) -> Readings:
        """The sample that rates are taken against."""
        if self._now is not None and self._last is not None and now.at - self._last.at < 5.0:
            return self._last
        return self._kept[-1] if self._kept and self._kept[-1].at < now.at else now

    def _rate(self, key: str, title: str, now: Readings, before: Readings, unit: str) -> Tile:
        def per_second(one: Readings, other: Readings) -> float:
            return _per_second(getattr(one, key), getattr(other, key), one, other)

        peak = max((per_second(a, b) for a, b in self._pairs()), default=0.0)
        note = f"peak of the hour {cells.number(round(peak, 1))} {unit}"
        value = cells.number(round(per_second(before, now), 1))
        return Tile(key, title, value, unit, note, self._line(per_second))

    def _copies(self, now: Readings, before: Readings) -> Tile:
        each = now.copies / now.broadcasts if now.broadcasts else 0.0
        tile = self._rate("copies", "Presence copies", now, before, "/s")
        note = f"{cells.number(round(each, 1))} for each change"
        return Tile(tile.key, tile.title, tile.value, tile.unit, note, tile.line)

    def _mean(self, key: str, title: str, now: Readings, before: Readings, note: str) -> Tile:
        def mean_ms(one: Readings, other: Readings) -> float:
            (count, total), (more, all_of_it) = getattr(one, key), getattr(other, key)
            return 1_000.0 * (all_of_it - total) / (more - count) if more > count else 0.0

        found = mean_ms(before, now) or mean_ms(self._kept[0] if self._kept else now, now)
        return Tile(key, title, f"{found:,.1f}", "ms", note, self._line(mean_ms))

    def _pairs(self) -> Iterator[tuple[Readings, Readings]]:
        return pairwise(tuple(self._kept))

    def _line(self, of: Callable[[Readings, Readings], float]) -> str:
        """The path of a drawing of the last hour."""
        return drawn([of(a, b) for a, b in self._pairs()])

    def _totals(self) -> Readings:
        # In their order, as a scrape reads them: some go by what one before has added up.
        read = {each.full_name: each.sample() for each in self._metrics if each.full_name in _READ}

        def of(name: str, *labels: str) -> float:
            return _sum(read[name], *labels)

        return Readings(
            self._clock.seconds(),
            of("sessions"),
            of("sessions", "detached"),
            of("stanzas", "message", "in"),
            of("stanzas", "presence", "in"),
            of("presence_copies"),
            of("presence_broadcasts"),
            of("queued_bytes"),
            _of_histogram(read["loop_late_seconds"]),
            _of_histogram(read["login_seconds"]),
            of("logins_waiting"),
        )

    # -- those who look ---------------------------------------------------------------------------

    def stream(self, may_still: Callable[[], bool]) -> HTTPResponse:
        """The numbers, again and again, as events for a page.

        Args:
            may_still: Whether whoever looks may do so; it ends when they may not any more.

        Raises:
            HTTPError: Too many look.
        """
        if len(self._windows) >= MAX_WINDOWS:
            raise HTTPError(429, f"{MAX_WINDOWS} windows already get live updates.")
        window = _Window(may_still)
        self._windows.add(window)
        if not self._sampling.running:
            self._sampling.start(SAMPLE_S, now=True)

        def close() -> None:
            self._windows.discard(window)
            if not self._windows and self._sampling.running:
                self._sampling.stop()

        headers = (
            ("Content-Type", "text/event-stream"),
            ("Cache-Control", "no-store"),
            ("X-Accel-Buffering", "no"),
        )
        return HTTPResponse(200, Pieces(window.pieces(), None, close), headers)

    def _sample(self) -> None:
        """Tell all windows; one that has not taken the last is told the next."""
        told = self._event()
        self._last, self._now = self._now, self._totals()
        for window in tuple(self._windows):
            if window.may_still():
                window.tell(told)
            else:
                window.end()

    def _event(self) -> bytes:
        tiles = {
            tile.key: {
                "value": tile.value,
                "unit": tile.unit,
                "note": tile.note,
                "line": tile.line,
            }
            for tile in self.tiles()
        }
        return b"data: %b\n\n" % json.encode(tiles)

    def stop(self) -> None:
        """Tell nobody any more, since the server stops."""
        for window in tuple(self._windows):
            window.end()


class _Window:
    """One that looks; what it has not taken in time is forgotten."""

    def __init__(self, may_still: Callable[[], bool]) -> None:
        self.may_still = may_still
        self._next: bytes | None = None
        self._wake: Deferred[None] | None = None
        self._ended = False

    def end(self) -> None:
        self._ended = True
        self._woken()

    def tell(self, event: bytes) -> None:
        self._next = event
        self._woken()

    def _woken(self) -> None:
        if self._wake is not None:
            wake, self._wake = self._wake, None
            wake.callback(None)

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        while not self._ended:
            if self._next is None:
                self._wake = Deferred()
                await self._wake
            event, self._next = self._next, None
            if event is not None:
                yield event


def _bytes_tile(now: Readings, line: str) -> Tile:
    value, _, unit = cells.size(now.queued_bytes).partition(" ")
    note = "nobody reads slowly" if not now.queued_bytes else "for slow readers"
    return Tile("queued_bytes", "To be written", value, unit, note, line)


def _per_second(before: float, now: float, one: Readings, other: Readings) -> float:
    seconds = other.at - one.at
    return (now - before) / seconds if seconds > 0 else 0.0


def _sum(reading: Reading, *labels: str) -> float:
    if isinstance(reading, Mapping):
        return sum(
            _sum(number) for key, number in reading.items() if all(label in key for label in labels)
        )
    return float(reading.count) if isinstance(reading, Histogram) else float(reading)


def _of_histogram(reading: Reading) -> tuple[int, float]:
    found = reading.values() if isinstance(reading, Mapping) else (reading,)
    histograms = [each for each in found if isinstance(each, Histogram)]
    return sum(each.count for each in histograms), sum(each.total for each in histograms)


def drawn(values: list[float]) -> str:
    """A line through values, as the path of a drawing of ``WIDTH`` by ``HEIGHT``; empty without
    any.
    """
    if len(values) < 2:
        return ""
    most = max(values) or 1.0
    step = WIDTH / (len(values) - 1)
    points = (
        f"{step * at:.1f} {HEIGHT - 1 - value / most * (HEIGHT - TOP):.1f}"
        for at, value in enumerate(values)
    )
    return f"M{' L'.join(points)}"


__all__ = ["MAX_WINDOWS", "Live", "Tile", "drawn"]
