"""Health: what programs that watch the server ask of it (ME-1, ME-5)."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from xmppd.host.metrics import Metrics
from xmppd.store.errors import StoreError
from xmppd.web.exposition import OPEN_METRICS, TEXT, exposition
from xmppd.web.http_doors import HTTPDoors
from xmppd.web.http_path import HTTPPath, anybody
from xmppd.web.request import HTTPRequest, HTTPResponse, said

STORE_S = 1.0
LATE_S = 5.0


@dataclass(frozen=True)
class Scrape:
    """What is shown at ``/metrics``.

    Attributes:
        metrics: All there are.
        refresh: Has counted what is counted now and then.
    """

    metrics: Metrics
    refresh: Callable[[], Awaitable[None]]


class Health:
    """The paths of listeners that serve ``metrics``.

    Args:
        scrape: The metrics.
        doors: The listeners.
        question: Asks the store for little.
        is_draining: Whether this node hands its clients to others.
        late_s: The seconds by which the server is late.
        clock: The reactor's.
    """

    def __init__(
        self,
        scrape: Scrape,
        doors: HTTPDoors,
        question: Callable[[], Awaitable[object]],
        is_draining: Callable[[], bool],
        late_s: Callable[[], float],
        clock: IReactorTime,
    ) -> None:
        self._scrape = scrape
        self._doors = doors
        self._question = question
        self._is_draining = is_draining
        self._late_s = late_s
        self._clock = clock

    def paths(self) -> Iterator[HTTPPath]:
        """Where they are; they hold no secrets."""
        path = partial(HTTPPath, access=anybody, site="metrics")
        yield path(path="/metrics", handle=self.numbers)
        yield path(path="/healthz", handle=self.alive)
        yield path(path="/readyz", handle=self.ready)

    async def numbers(self, request: HTTPRequest) -> HTTPResponse:
        """All metrics, in the format that was asked for."""
        await self._scrape.refresh()
        wants_open = "application/openmetrics-text" in request.header("accept")
        text = exposition(self._scrape.metrics.samples(), open_metrics=wants_open)
        kind = OPEN_METRICS if wants_open else TEXT
        return HTTPResponse(200, text.encode(), (("Content-Type", kind),))

    def alive(self, request: HTTPRequest) -> HTTPResponse:
        """Whether the server does anything at all."""
        late_s = self._late_s()
        if late_s > LATE_S:
            return said(503, f"The server is late by {late_s:.0f} s.")
        return said(200, "This server is alive.")

    async def ready(self, request: HTTPRequest) -> HTTPResponse:
        """Whether clients should be sent here; if not, each reason is a line."""
        reasons = []
        if self._is_draining():
            reasons.append("This node is draining.")
        closed = sum(not endpoint.where for endpoint in self._doors.endpoints)
        if closed:
            reasons.append(f"Closed listeners: {closed}.")
        if not await self._store_answers():
            reasons.append("The database does not answer.")
        return said(503, "\n".join(reasons)) if reasons else said(200, "This server is ready.")

    async def _store_answers(self) -> bool:
        async def ask() -> None:
            await self._question()

        try:
            await Deferred.fromCoroutine(ask()).addTimeout(STORE_S, self._clock)
        except (defer.TimeoutError, StoreError):
            return False
        return True
