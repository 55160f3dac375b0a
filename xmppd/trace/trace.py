"""Trace: watches the stages of a server, while somebody traces and not otherwise."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from itertools import count
from time import perf_counter
from typing import Any

from xmppd.server import XMPPServer
from xmppd.session.interceptor_manager import KINDS, PacketInterceptor
from xmppd.stanza import Stanza
from xmppd.trace.outcome import Outcome, failed, returned, skipped
from xmppd.trace.passage import Passage, Step
from xmppd.trace.tracer import Tracer

MAX_TRACERS = 4


class TooManyTracers(Exception):
    """So many trace already; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Where stanzas are watched: a method that takes one, and perhaps a session it is for.

    Attributes:
        attribute: What the server calls the stage.
        method: Of the stage.
        name: What it is called in a trace.
    """

    attribute: str
    method: str
    name: str


STAGES = (
    Stage("packet_router", "route", "PacketRouter"),
    Stage("interceptors", "come_in", "InterceptorManager"),
    Stage("message_router", "route", "MessageRouter"),
    Stage("presence_router", "route", "PresenceRouter"),
    Stage("iq_router", "route", "IQRouter"),
    Stage("offline_message_strategy", "undeliverable", "OfflineMessageStrategy"),
    Stage("offline_message_strategy", "nobody_there", "OfflineMessageStrategy"),
    Stage("presence_update_handler", "process", "PresenceUpdateHandler"),
    Stage("presence_update_handler", "broadcast", "Roster"),
    Stage("presence_subscribe_handler", "process", "PresenceSubscribeHandler"),
    Stage("presence_manager", "handle_probe", "PresenceManager, probe"),
    Stage("presence_manager", "deliver", "PresenceManager"),
    Stage("presence_manager", "deliver_to_interested", "PresenceManager"),
    Stage("presence_manager", "say_goodbye", "PresenceManager, goodbye"),
    Stage("routing_table", "route", "RoutingTable"),
    Stage("interceptors", "go_out", "LocalClientSession"),
)


class Eyes(PacketInterceptor):
    """Has every delivery pass the interceptors, and lets everything be."""

    outgoing_kinds = KINDS


@dataclass(frozen=True, slots=True)
class TracePoint:
    """Where in a passage what runs just now belongs."""

    passage: Passage
    depth: int


_PLACE: ContextVar[TracePoint | None] = ContextVar("place", default=None)


class Trace:
    """Those who trace a server, at most :data:`MAX_TRACERS`.

    While there are any, each watched method is hidden behind a function of the same name in its
    stage's own dictionary, which calls it and takes the time. When the last one leaves, these are
    removed: a stage that nobody watches is exactly as it was, and a plugin may replace its class
    meanwhile.
    """

    def __init__(self, server: XMPPServer) -> None:
        self.server = server
        self.tracers: list[Tracer] = []
        self._eyes = Eyes()
        self._numbers = count(1)

    @contextmanager
    def joined(self, tracer: Tracer) -> Iterator[None]:
        """Show this one what passes, as long as the block runs.

        Raises:
            TooManyTracers: There is no room for one more.
        """
        if len(self.tracers) >= MAX_TRACERS:
            raise TooManyTracers(f"{MAX_TRACERS} others trace already; try again later")
        self.tracers.append(tracer)
        if len(self.tracers) == 1:
            self._watch()
        try:
            yield
        finally:
            self.tracers.remove(tracer)
            if not self.tracers:
                self._unwatch()

    def _watch(self) -> None:
        for stage in STAGES:
            owner = getattr(self.server, stage.attribute)
            vars(owner)[stage.method] = partial(self._call, stage, owner)
        self.server.interceptors.add(self._eyes)

    def _unwatch(self) -> None:
        self.server.interceptors.remove(self._eyes)
        for stage in STAGES:
            del vars(getattr(self.server, stage.attribute))[stage.method]

    def _call(self, stage: Stage, owner: object, stanza: Stanza, *more: Any, **named: Any) -> Any:
        """Call the stage itself, and note what becomes of the stanza there."""
        method: Callable[..., Any] = getattr(owner.__class__, stage.method)
        call = self._begin(stage, stanza, more)
        try:
            with _at(call.below):
                result = method(owner, stanza, *more, **named)
        except Exception as error:
            self._end(call, failed(error))
            raise
        if isinstance(result, Awaitable):
            return self._wait(call, result)
        self._end(call, returned(self.server, call.step, result))
        return result

    async def _wait(self, call: "Call", work: Awaitable[Any]) -> Any:
        call.step.waited = True
        try:
            with _at(call.below):
                result = await work
        except Exception as error:
            self._end(call, failed(error))
            raise
        self._end(call, returned(self.server, call.step, result))
        return result

    def _begin(self, stage: Stage, stanza: Stanza, more: tuple[Any, ...]) -> "Call":
        place = _PLACE.get()
        first = place is None or place.passage.over
        if place is None or first:
            place = TracePoint(Passage(next(self._numbers), stanza), 0)
        session = more[0] if stage.method == "go_out" else None
        step = Step(stage.name, place.depth, stanza, session)
        self._add(place.passage, step)
        return Call(step, place.passage, first, perf_counter())

    def _add(self, passage: Passage, step: Step) -> None:
        """Stages are always kept; of deliveries only those that somebody wants."""
        if step.session is None or any(tracer.wants(step) for tracer in self.tracers):
            passage.add(step)

    def _end(self, call: "Call", outcome: Outcome) -> None:
        step, passage = call.step, call.passage
        step.took_us = round((perf_counter() - call.began_s) * 1e6)
        step.code, step.says = outcome
        for session, reason in skipped(self.server, step, passage):
            skip = Step("skipped", step.depth + 1, step.stanza, session, "skipped", reason)
            self._add(passage, skip)
        if call.first:
            passage.over = True
            for tracer in self.tracers:
                tracer.take(passage)


@dataclass(frozen=True, slots=True)
class Call:
    """A stage at work.

    Attributes:
        step: Its step.
        passage: Of which this is one.
        first: Whether the passage ends with it.
        began_s: When.
    """

    step: Step
    passage: Passage
    first: bool
    began_s: float

    @property
    def below(self) -> TracePoint:
        """Where belongs what it calls."""
        return TracePoint(self.passage, self.step.depth + 1)


@contextmanager
def _at(place: TracePoint) -> Iterator[None]:
    """What runs in this block belongs there; also what it waits for, in its own context."""
    before = _PLACE.get()
    _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.set(before)


__all__ = ["MAX_TRACERS", "TooManyTracers", "Trace"]
