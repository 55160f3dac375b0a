"""Sampler: looks at one stanza in many, and sends its way where traces are collected."""

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from itertools import islice

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from xmppd.host.clocks import Clocks
from xmppd.host.seldom import Seldom
from xmppd.host.version import version
from xmppd.net.http_caller import HTTPCaller, NotAnswered
from xmppd.trace.passage import Passage, Step
from xmppd.trace.trace import TooManyTracers, Trace, Watcher

from .spans import Span, attribute, spans_of

LOOK_S = 1.0
"""The time from one look at how many stanzas have come to the next."""

MAX_AT_ONCE = 10
"""Stanzas that are taken for one look, one behind the other, on a server that is that busy."""

MAX_WAITING_SPANS = 10_000
"""Spans that wait to be sent; of more the oldest are dropped."""

MAX_SPANS_PER_REQUEST = 1_000

SEND_S = 5.0

_TRY_AGAIN = (429, 502, 503, 504)

_log = Logger()


class Sampler(Watcher):
    """Takes one stanza in so many, and sends its spans (ME-7).

    The stages are watched only while one is due, from the next stanza that comes to the end of its
    way; between two of them nothing is looked at but a number, once a second.

    Args:
        traces: Show the way of stanzas.
        came: The number of stanzas that have come until now.
        one_in: One is taken of so many.
        sender: Sends what is found.
        clock: The reactor's.
        clocks: Tell the time of day.
    """

    def __init__(
        self,
        traces: Trace,
        came: Callable[[], int],
        one_in: int,
        sender: "SpanSender",
        clock: IReactorTime,
        clocks: Clocks,
    ) -> None:
        self.traces = traces
        self.came = came
        self.one_in = one_in
        self.sender = sender
        self.clock = clock
        self.clocks = clocks
        self._due = 0
        self._taken_at = came()
        self._watching = ExitStack()

    def look(self) -> None:
        """Watch, if so many stanzas have come since the last one was taken."""
        came = self.came()
        due, left = divmod(came - self._taken_at, self.one_in)
        if due and not self._due:
            try:
                self._watching.enter_context(self.traces.joined(self))
            except TooManyTracers:
                return  # administrators go first
            self._due, self._taken_at = min(due, MAX_AT_ONCE), came - left

    def wants(self, step: Step, /) -> bool:
        """Keep all deliveries."""
        return True

    def take(self, passage: Passage, /) -> None:
        """Take what has ended, as long as something is due."""
        if self._due:
            self.sender.put(spans_of(passage, self.clocks.wall_clock()))
            self._due -= 1
            if not self._due:
                self.clock.callLater(0, self.stop)  # others have yet to take it

    def stop(self) -> None:
        """Watch no more."""
        self._due = 0
        self._watching.close()


class SpanSender:
    """Sends spans to a collector, as OTLP over HTTP has it, in JSON.

    Args:
        caller: Asks it.
        url: Where it takes traces.
        secret: By which it knows us; empty for none.
        node: The name of this server.
        seldom: Says when a line may be logged.

    Attributes:
        waiting: The spans that were not sent yet.
        dropped: The number of spans that never were.
    """

    def __init__(
        self, caller: HTTPCaller, url: str, secret: str, node: str, seldom: Seldom
    ) -> None:
        self.caller = caller
        self.url = url
        self.seldom = seldom
        self.waiting: deque[Span] = deque()
        self.dropped = 0
        self._headers = {"Content-Type": "application/json"}
        if secret:
            self._headers["Authorization"] = f"Bearer {secret}"
        self._resource = {
            "attributes": [
                attribute("service.name", "xmppd"),
                attribute("service.version", version()),
                attribute("service.instance.id", node),
            ]
        }

    def put(self, spans: Iterator[Span]) -> None:
        """Have them sent with the next request."""
        self.waiting.extend(spans)
        while len(self.waiting) > MAX_WAITING_SPANS:
            self.waiting.popleft()
            self.dropped += 1

    async def send(self) -> None:
        """Send what waits; what a collector cannot take now waits on."""
        while self.waiting:
            spans = list(islice(self.waiting, MAX_SPANS_PER_REQUEST))
            before = self.dropped
            try:
                status, _ = await self.caller.ask(
                    "POST", self.url, self._body(spans), self._headers
                )
            except NotAnswered as error:
                self._failed(f"no answer ({error})")
                return
            if status in _TRY_AGAIN:
                self._failed(f"the answer is {status}")
                return
            for _ in range(len(spans) - (self.dropped - before)):  # some may have made room
                self.waiting.popleft()
            if status != 200:
                self.dropped += len(spans)
                self._failed(f"the traces were refused with {status}")

    def _body(self, spans: list[Span]) -> bytes:
        scope: Mapping[str, object] = {"scope": {"name": "xmppd"}, "spans": spans}
        found = {"resourceSpans": [{"resource": self._resource, "scopeSpans": [scope]}]}
        return json.dumps(found, separators=(",", ":")).encode()

    def _failed(self, why: str) -> None:
        if self.seldom.untold(why) is not None:
            _log.warn(
                "{url} does not accept traces: {why}; dropped so far: {dropped}",
                url=self.url, why=why, dropped=self.dropped,
            )  # fmt: skip


__all__ = [
    "LOOK_S",
    "MAX_AT_ONCE",
    "MAX_SPANS_PER_REQUEST",
    "MAX_WAITING_SPANS",
    "SEND_S",
    "Sampler",
    "SpanSender",
]
