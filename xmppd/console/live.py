"""Live: how the server does, as a few numbers: sampled now and then, and for those who look."""

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from secrets import token_hex

from msgspec import json
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from xmppd.cluster.cluster import Cluster
from xmppd.console.graphs import (
    NODES,
    OVERVIEW,
    SERVER,
    Drawing,
    Graph,
    NodeLines,
    drawn,
    graphs,
    lines_of,
    measured,
)
from xmppd.console.history import SPANS, ReadingHistory
from xmppd.console.node_readings import NodeReadings
from xmppd.console.reading_keeper import ReadingKeeper
from xmppd.console.readings import Measure, Readings, at_its_end, mean_ms, per_second, readings
from xmppd.host.clocks import Clocks
from xmppd.host.metrics import Metrics
from xmppd.pages import cells
from xmppd.store.readings import ReadingStore
from xmppd.web.request import HTTPError, HTTPResponse, Pieces

SAMPLE_S = 1.0
"""The time between two samples, while somebody looks (CN-9)."""

MAX_WINDOWS = 32
"""Windows that are told at the same time."""

WIDTH, HEIGHT = 300, 30
"""Of the drawing of a tile."""

HOUR = SPANS["hour"]
_MEASURES: Mapping[str, Measure] = {
    "sessions": at_its_end("sessions"),
    "messages": per_second("messages"),
    "copies": per_second("copies"),
    "queued_bytes": at_its_end("queued_bytes"),
    "late": mean_ms("late"),
    "logins": mean_ms("logins"),
}
"""How the number of each tile is measured."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A number for people.

    Attributes:
        key: Its name.
        title: What it is.
        value: It.
        unit: Its unit.
        note: What else there is to say.
        drawing: How it went in the last hour.
    """

    key: str
    title: str
    value: str
    unit: str
    note: str
    drawing: Drawing


class Live:
    """The numbers.

    Args:
        metrics: Have all there are.
        clock: The reactor's.
        clocks: Tell the time of day of what was kept.
        store: Keeps what has been.
        cluster: This node and the others.

    Attributes:
        nodes: How all nodes did.
    """

    def __init__(
        self,
        metrics: Metrics,
        clock: IReactorTime,
        clocks: Clocks,
        store: ReadingStore,
        cluster: Cluster,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._stamp = clocks.stamp
        self._has_nodes = cluster.directory.shared
        self._life = token_hex(4)
        self._history = ReadingHistory()
        self._keeper = ReadingKeeper(store, self._history, cluster.membership, clocks)
        self.nodes = NodeReadings(cluster, self._history, store, clocks)
        self._hour: Readings | None = None
        self._peak = 0.0
        self._lines: dict[str, Drawing] = {}
        self._last: Readings | None = None
        self._now: Readings | None = None
        self._windows: set[_Window] = set()
        self._sampling = LoopingCall(self._sample)
        self._sampling.clock = clock

    def look(self, now: float) -> None:
        """Keep a sample, if it is time."""
        if self._history.is_time(now):
            reading = self._totals()
            if self._history.keep(reading):
                self._keeper.keep(reading)

    def tiles(self) -> list[Tile]:
        """The numbers of just now."""
        now = self._totals()
        before = self._before(now)
        self._look_back()
        each = now.copies / now.broadcasts if now.broadcasts else 0.0
        queued, _, unit = cells.size(now.queued_bytes).partition(" ")
        return [
            self._tile("sessions", "Sessions", cells.number(now.sessions), "",
                       f"{cells.number(now.detached)} detached"),
            self._rate("messages", "Messages", now, before,
                       f"peak of the hour {cells.number(round(self._peak, 1))} /s"),
            self._rate("copies", "Presence copies", now, before,
                       f"{cells.number(round(each, 1))} for each change"),
            self._tile("queued_bytes", "Waiting to be sent", queued, unit,
                       "for slow readers" if now.queued_bytes else "nobody reads slowly"),
            self._mean("late", "Loop lag", now, before,
                       f"waiting logins: {cells.number(now.waiting)}" if now.waiting
                       else "no login waits"),
            self._mean("logins", "Login", now, before, f"{now.logins[0]:,} since the start"),
        ]  # fmt: skip

    async def graphs(self, page: str, over: str) -> list[Graph]:
        """The numbers of a while; none of what is between nodes where there is one server.

        Args:
            page: One of :data:`~xmppd.console.graphs.GRAPHS`.
            over: One of :data:`~xmppd.console.history.SPANS`.
        """
        if page == NODES and not self._has_nodes:
            return []
        return graphs(page, await self._lines_of(page, over))

    async def history(self, page: str, over: str) -> HTTPResponse:
        """The same as values, for a script.

        Args:
            page: One of :data:`~xmppd.console.graphs.GRAPHS`.
            over: One of :data:`~xmppd.console.history.SPANS`.
        """
        headers = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))
        return HTTPResponse(200, json.encode(await self._lines_of(page, over)), headers)

    async def _lines_of(self, page: str, over: str) -> Sequence[NodeLines]:
        if page == NODES:
            return await self.nodes.lines(over)
        return [lines_of(page, self._history.over(SPANS[over]), self._stamp)]

    def _before(self, now: Readings) -> Readings:
        """The sample that rates are taken against."""
        if self._now is not None and self._last is not None and now.at - self._last.at < 5.0:
            return self._last
        kept = self._history.last
        return kept if kept is not None and kept.at < now.at else now

    def _look_back(self) -> None:
        """Draw the last hour, if that is not done."""
        if self._history.last is not self._hour or not self._lines:
            self._hour = self._history.last
            kept = self._history.over(HOUR)
            pairs, moments = list(pairwise(kept)), [each.at for each in kept[1:]]
            found = {
                key: [measured(measure, *pair) for pair in pairs]
                for key, measure in _MEASURES.items()
            }
            self._peak = max(filter(None, found["messages"]), default=0.0)
            self._lines = {
                key: drawn(moments, line, width=WIDTH, height=HEIGHT) for key, line in found.items()
            }

    def _tile(self, key: str, title: str, value: str, unit: str, note: str) -> Tile:
        return Tile(key, title, value, unit, note, self._lines[key])

    def _rate(self, key: str, title: str, now: Readings, before: Readings, note: str) -> Tile:
        value = cells.number(round(_MEASURES[key](before, now), 1))
        return self._tile(key, title, value, "/s", note)

    def _mean(self, key: str, title: str, now: Readings, before: Readings, note: str) -> Tile:
        measure = _MEASURES[key]
        found = measure(before, now) or measure(self._history.first or now, now)
        return self._tile(key, title, f"{found:,.1f}", "ms", note)

    def _totals(self) -> Readings:
        return readings(self._metrics, self._clock.seconds(), self._life)

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
        told: dict[str, object] = {
            tile.key: {
                "value": tile.value,
                "unit": tile.unit,
                "note": tile.note,
                "line": tile.drawing.line,
                "area": tile.drawing.area,
            }
            for tile in self.tiles()
        }
        told["step"] = [
            lines_of(page, self._history.step, self._stamp) for page in (OVERVIEW, SERVER)
        ]
        return b"data: %b\n\n" % json.encode(told)

    def stop(self) -> None:
        """Tell nobody any more, since the server stops."""
        for window in tuple(self._windows):
            window.end()

    async def keep_last(self) -> None:
        """Write what was counted since the last time, since the server stops."""
        await self._keeper.keep_last()


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


__all__ = ["MAX_WINDOWS", "Live", "Tile"]
