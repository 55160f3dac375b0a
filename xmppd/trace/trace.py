"""Trace: watches the stages of a server, while there are tracers."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count
from time import perf_counter
from typing import Protocol

from xmppd.events import OWNER, Undo
from xmppd.handler.presence_update_handler import PresenceUpdateHandler
from xmppd.message.follower import Course, Follower
from xmppd.plugin.seams import SEAMS, Call, Method, Seams
from xmppd.presence.presence_manager import PresenceManager
from xmppd.server.xmpp_server import XMPPServer
from xmppd.session.interceptor_manager import KINDS, InterceptorManager, PacketInterceptor
from xmppd.stanza import JID, Stanza
from xmppd.trace.outcome import Outcome, failed, followed, returned, skipped
from xmppd.trace.passage import Passage, Step

MAX_TRACERS = 4


class Watcher(Protocol):
    """Somebody to whom passages are shown."""

    def wants(self, step: Step, /) -> bool:
        """Whether a delivery is to be kept."""

    def take(self, passage: Passage, /) -> None:
        """Take a passage that has ended."""


class TooManyTracers(Exception):
    """An error: there are too many tracers already; the text is one sentence."""


NAMES: Mapping[Method, str] = {
    PresenceUpdateHandler.broadcast: "Roster",
    PresenceManager.handle_probe: "PresenceManager, probe",
    PresenceManager.say_goodbye: "PresenceManager, goodbye",
    InterceptorManager.go_out: "LocalClientSession",
}
"""The names of methods in a trace, where it is not that of their stage."""


class Eyes(PacketInterceptor):
    """An interceptor that makes every delivery pass one by one, and changes nothing."""

    outgoing_kinds = KINDS


class BothEnds(Follower):
    """A follower of all messages that changes none.

    Args:
        followed: Called with each, at either end.
    """

    of_all = True

    def __init__(self, followed: Callable[[Course], None]) -> None:
        self.followed = followed

    def follow(self, course: Course) -> None:
        self.followed(course)


@dataclass(frozen=True, slots=True)
class TracePoint:
    """The place in a passage of the code that runs now."""

    passage: Passage
    depth: int


_PLACE: ContextVar[TracePoint | None] = ContextVar("place", default=None)


class Trace:
    """The tracers of a server, at most :data:`MAX_TRACERS`.

    While there are any, every call of a seam goes by here, which takes the time. When the last one
    leaves, a stage is exactly as it was; a plugin may replace it meanwhile.

    Args:
        server: Its stages say why a session was passed by.
        seams: The methods that are watched.
    """

    def __init__(self, server: XMPPServer, seams: Seams) -> None:
        self.server = server
        self.seams = seams
        self.tracers: list[Watcher] = []
        self._eyes = Eyes()
        self._numbers = count(1)
        self._undo: list[Undo] = []

    @contextmanager
    def joined(self, tracer: Watcher) -> Iterator[None]:
        """Show all passages to this tracer, as long as the block runs.

        Raises:
            TooManyTracers: There is no room for one more.
        """
        if len(self.tracers) >= MAX_TRACERS:
            raise TooManyTracers(f"{MAX_TRACERS} other traces are running; try again later")
        self.tracers.append(tracer)
        if len(self.tracers) == 1:
            self._undo = [
                self.seams.watch(self._call),
                self.server.interceptors.put(self._eyes, OWNER),
                self.server.followers.put(BothEnds(self._followed), OWNER),
            ]
        try:
            yield
        finally:
            self.tracers.remove(tracer)
            if not self.tracers:
                for undo in self._undo:
                    undo()

    def _followed(self, course: Course) -> None:
        """Note what a message is worth at the end of an account, behind all who follow it."""
        place = _PLACE.get()
        if place is not None and not place.passage.over:
            step = Step("Followers", place.depth, course.message)
            step.code, step.says = followed(course)
            self._add(place.passage, step)

    def _call(
        self, method: Method, stage: Call, stanza: Stanza, more: tuple[object, ...]
    ) -> object:
        """Call the stage itself, and note the outcome."""
        call = self._begin(method, stanza, more)
        try:
            with _at(call.below):
                result = stage()
        except Exception as error:
            self._end(call, failed(error))
            raise
        if isinstance(result, Awaitable):
            return self._wait(call, result)
        self._end(call, returned(self.server, call.step, result))
        return result

    async def _wait(self, call: "Visit", work: Awaitable[object]) -> object:
        call.step.waited = True
        try:
            with _at(call.below):
                result = await work
        except Exception as error:
            self._end(call, failed(error))
            raise
        self._end(call, returned(self.server, call.step, result))
        return result

    def _begin(self, method: Method, stanza: Stanza, more: tuple[object, ...]) -> "Visit":
        place = _PLACE.get()
        first = place is None or place.passage.over
        if place is None or first:
            place = TracePoint(Passage(next(self._numbers), stanza), 0)
        session = more[0] if method is InterceptorManager.go_out else None
        assert session is None or isinstance(session, JID)
        step = Step(_name(method), place.depth, stanza, session)
        self._add(place.passage, step)
        return Visit(step, place.passage, first, perf_counter())

    def _add(self, passage: Passage, step: Step) -> None:
        """Add a step: stages are always kept, deliveries only if a tracer wants them."""
        if step.session is None or any(tracer.wants(step) for tracer in self.tracers):
            passage.add(step)

    def _end(self, call: "Visit", outcome: Outcome) -> None:
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
class Visit:
    """A call of a stage.

    Attributes:
        step: Its step.
        passage: Of which this is one.
        first: Whether the passage ends with it.
        began_s: The time of its beginning.
    """

    step: Step
    passage: Passage
    first: bool
    began_s: float

    @property
    def below(self) -> TracePoint:
        """The place of the stages that it calls."""
        return TracePoint(self.passage, self.step.depth + 1)


def _name(method: Method) -> str:
    """The name of the stage: its class, with the method if it has several."""
    return NAMES.get(method) or next(kind.__name__ for kind in SEAMS if method in SEAMS[kind])


@contextmanager
def _at(place: TracePoint) -> Iterator[None]:
    """A block whose calls belong to this place; also those after a wait, in their own context."""
    before = _PLACE.get()
    _PLACE.set(place)
    try:
        yield
    finally:
        _PLACE.set(before)


__all__ = ["MAX_TRACERS", "TooManyTracers", "Trace", "Watcher"]
