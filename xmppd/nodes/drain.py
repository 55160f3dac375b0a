"""Drain: a node hands its clients, and all that lives once, to others before it is stopped."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.cluster.cluster import Cluster
from xmppd.cluster.node import NodeId
from xmppd.net.connection_handler import ConnectionHandler
from xmppd.net.connections import Connections
from xmppd.nodes.drain_targets import DrainTargets
from xmppd.session.local_client_session import LocalClientSession
from xmppd.session.resumable_sessions import ResumableSessions
from xmppd.stanza import StreamCondition, StreamError
from xmppd.stream.stanza_handler import StanzaHandler

RATE_PER_S = 100
"""Clients that are closed in a second, unless somebody says otherwise."""

TURN_S = 0.1
"""How often some of them are."""

MAX_AT_ONCE = 200
"""Clients and sessions that are being handed over at the same time."""

TRIES = 2
"""Nodes that a session which is asleep is offered to."""

HAND_OVER_S = 15.0
"""The time that those which are being handed over are waited for when a drain ends early."""

IN_TIME = 0.7
"""The part of the time for a stop in which all clients are closed; the rest is for the last."""

ABOUT_TO_STOP = "this part of the service is about to stop"

_log = Logger()

HandOver = Callable[[LocalClientSession, NodeId], Awaitable[bool]]
"""Has a session that is detached here be at another node; returns whether it is."""


class Door(Protocol):
    """A place where others come in."""

    async def close(self) -> None:
        """Let nobody in."""

    async def open_again(self) -> None:
        """Let everybody in again."""


@dataclass(frozen=True)
class DrainProgress:
    """How far a drain has come.

    Attributes:
        closed: Clients that were closed.
        moved: Sessions that are at other nodes now.
        left: Clients that are still connected.
        asleep: Sessions without a connection that are still here.
    """

    closed: int
    moved: int
    left: int
    asleep: int


class Drain:
    """Hands over all that is here, when somebody wants that, or Redis does not answer this node, or
    at a stop (CL-120 to CL-123).

    Args:
        cluster: The other nodes.
        clients: The connections of clients.
        peers: Those of servers and components that have come in here.
        resumable_sessions: Those whose clients find them wherever they come back.
        clock: Closes clients at a rate.

    Attributes:
        is_over: Whether nobody is here any more.
        hand_over: Moves a session.
        doors: Where clients, servers and components come in.
    """

    def __init__(
        self,
        cluster: Cluster,
        clients: Connections,
        peers: Sequence[Connections],
        resumable_sessions: ResumableSessions,
        clock: IReactorTime,
    ) -> None:
        self.is_over = False
        self.hand_over: HandOver = _nobody_takes_it
        self.doors: Sequence[Door] = ()
        self._membership = cluster.membership
        self._claims = cluster.claims
        self._clients = clients
        self._peers = peers
        self._resumable = resumable_sessions
        self._clock = clock
        self.targets = DrainTargets(cluster, resumable_sessions.sessions, clock)
        self._rate_per_s = 0.0
        self._closed = self._moved = 0
        self._is_by_itself = self._stops = False
        self._running: Deferred[None] | None = None
        self._giving_up: Deferred[None] | None = None
        self._under_way: set[LocalClientSession | ConnectionHandler] = set()
        self._tries: dict[str, int] = {}
        self._watchers: list[Deferred[None]] = []

    @property
    def progress(self) -> DrainProgress:
        """How far it has come."""
        left = sum(not handler.closing for handler in self._clients.handlers)
        return DrainProgress(self._closed, self._moved, left, len(self._resumable))

    @property
    def is_running(self) -> bool:
        """Whether it is under way."""
        return self._running is not None

    # -- begin and end ----------------------------------------------------------------------------

    def begin(self, rate_per_s: float | None = None) -> None:
        """Begin to drain; one that is under way goes on, at this rate if one is given."""
        if self._is_by_itself:
            self._is_by_itself = self.is_over = False
        self._begin(rate_per_s)

    def _begin(self, rate_per_s: float | None = None) -> None:
        if rate_per_s is not None or self._running is None:
            self._rate_per_s = rate_per_s or RATE_PER_S
        if self._running is None and not self.is_over:
            self._closed = self._moved = 0
            self._tries.clear()
            self._running = Deferred.fromCoroutine(self._run())
            self._running.addErrback(_told).addBoth(self._ran)

    async def watch(self, for_s: float) -> bool:
        """Wait for so long, or until it ends; returns whether it is under way."""
        if self._running is not None:
            watcher = Deferred[None]()
            self._watchers.append(watcher)
            timer = self._clock.callLater(for_s, _fire, watcher)
            try:
                await watcher
            finally:
                self._watchers.remove(watcher)
                if timer.active():
                    timer.cancel()
        return self._running is not None

    async def within(self, seconds: float) -> None:
        """Drain for a stop, in so many seconds: at the rate that takes, if others are there."""
        self._stops = True
        self._membership.describe(draining=True)
        if not self.targets.nodes():
            return
        everybody = len(self._clients.handlers) + len(self._resumable)
        self.begin(max(RATE_PER_S, everybody / (IN_TIME * seconds)))
        if await self.watch(seconds):
            progress = self.progress
            _log.warn(
                "closing the connections of clients that are still here after {s:.0f} s: {left}",
                left=progress.left, s=seconds,
            )  # fmt: skip
        await self._halt()

    async def cancel(self) -> bool:
        """Take clients again; what was handed over stays where it is.

        Returns:
            Whether there was something to cancel.

        Raises:
            ListenError: A port is taken by now.
        """
        if not self._membership.node.draining:
            return False
        await self._halt()
        for door in self.doors:
            await door.open_again()
        self.is_over = self._is_by_itself = False
        self._membership.describe(draining=False)
        await self._membership.refresh()
        _log.info("node {id} accepts clients again", id=self._membership.id)
        return True

    def isolated(self, is_so: bool) -> None:
        """Drain because Redis does not answer this node, and only this one; or do so no more."""
        if is_so and not (self.is_running or self.is_over):
            self._is_by_itself = True
            self._begin()
        elif not is_so and self._is_by_itself:
            Deferred.fromCoroutine(self.cancel()).addErrback(_told)

    async def _halt(self) -> None:
        """Begin with nobody more, and wait for those that are being handed over."""
        for work in (self._running, self._giving_up):
            if work is not None:
                work.cancel()
        until = self._clock.seconds() + HAND_OVER_S
        while self._under_way and self._clock.seconds() < until:
            await deferLater(self._clock, TURN_S)

    def _ran(self, _: object) -> None:
        self._running = None
        for watcher in tuple(self._watchers):
            _fire(watcher)

    # -- its steps --------------------------------------------------------------------------------

    async def _run(self) -> None:
        membership = self._membership
        membership.describe(draining=True)
        await membership.refresh()
        if not await self.targets.count():
            _log.warn("node {id} is not drained: no other node accepts clients", id=membership.id)
            membership.describe(draining=self._stops)
            self._is_by_itself = False
            return
        _log.info("node {id} drains", id=membership.id)
        for door in self.doors:
            await door.close()
        giving_up = self._giving_up = Deferred.fromCoroutine(self._give_up())
        giving_up.addErrback(_told)
        await self._empty()
        await giving_up
        await self._give_up()
        self._close_peers()
        self.is_over = True
        progress = self.progress
        _log.info(
            "node {id} is drained: clients closed: {closed}, sessions moved: {moved}, sessions "
            "without a connection: {asleep}",
            id=membership.id,
            closed=progress.closed, moved=progress.moved, asleep=progress.asleep,
        )  # fmt: skip

    async def _give_up(self) -> None:
        """Give up what lives once; while Redis is away nobody could get it."""
        if not self._is_by_itself:
            await self._claims.give_up_all()

    async def _empty(self) -> None:
        """Close all clients at the rate, and have the sessions that sleep be elsewhere."""
        allowed, waiting = 1.0, deque[LocalClientSession | ConnectionHandler]()
        while True:
            waiting = waiting or deque(self._left())
            if not (waiting or self._under_way or self._clients.handlers):
                return
            allowed = min(allowed + self._rate_per_s * TURN_S, max(1.0, self._rate_per_s))
            room = min(int(allowed), MAX_AT_ONCE - len(self._under_way), len(waiting))
            if await self.targets.are_there():
                for _ in range(room):
                    self._begin_with(waiting.popleft())
                allowed -= room
            await deferLater(self._clock, TURN_S)

    def _left(self) -> Iterator[LocalClientSession | ConnectionHandler]:
        """Whatever is to be handed over, sessions without a connection first."""
        for session in self._resumable.resumable():
            is_tried = self._tries.get(session.id, 0) >= TRIES
            if session.detached and not is_tried and session not in self._under_way:
                yield session
        for handler in self._clients.handlers:
            if not handler.closing and handler not in self._under_way:
                yield handler

    def _begin_with(self, one: LocalClientSession | ConnectionHandler) -> None:
        """Hand one over."""
        work = self._close(one) if isinstance(one, ConnectionHandler) else self._move(one)
        self._under_way.add(one)
        handing_over = Deferred.fromCoroutine(work).addErrback(_told)
        handing_over.addBoth(lambda _: self._under_way.discard(one))

    async def _close(self, handler: ConnectionHandler) -> None:
        """Close a client; first its session is at the node that it is sent to, if it can be
        resumed (CL-121).
        """
        to = self.targets.choose()
        stream = handler.stream_handler
        if handler.closing or to is None:
            return
        if isinstance(stream, StanzaHandler) and stream.session.connection is handler:
            session = stream.session
            self._resumable.detach(session)
            if session.detached:
                handler.hold()
                await self._offer(session, to)
        handler.close(self._farewell(to), by_accident=True)
        self._closed += 1

    async def _move(self, session: LocalClientSession) -> None:
        """Have a session that sleeps be elsewhere, if it still does."""
        to = self.targets.choose()
        if session.detached and to is not None:
            await self._offer(session, to)

    async def _offer(self, session: LocalClientSession, to: NodeId) -> None:
        self._tries[session.id] = self._tries.get(session.id, 0) + 1
        self._under_way.add(session)
        try:
            is_there = await self.hand_over(session, to)
            self._moved += is_there
        finally:
            self._under_way.discard(session)

    def _farewell(self, to: NodeId) -> StreamError:
        """What a client is told: where to go, if clients may be sent to that node."""
        node = self._membership.nodes.get(to.name)
        if node is not None and (node.client_address or node.client_url):
            return StreamError(
                StreamCondition.SEE_OTHER_HOST,
                other_host=node.client_address,
                other_url=node.client_url,
            )
        return StreamError(StreamCondition.RESET, ABOUT_TO_STOP)

    def _close_peers(self) -> None:
        """Have servers and components come back elsewhere."""
        error = StreamError(StreamCondition.RESET, ABOUT_TO_STOP)
        for peers in self._peers:
            for handler in tuple(peers.handlers):
                handler.close(error)


async def _nobody_takes_it(session: LocalClientSession, to: NodeId) -> bool:
    return False


def _fire(watcher: Deferred[None]) -> None:
    if not watcher.called:
        watcher.callback(None)


def _told(failure: Failure) -> None:
    if not failure.check(CancelledError):
        _log.failure("something could not be handed over to another node", failure)


__all__ = ["HAND_OVER_S", "RATE_PER_S", "Drain", "DrainProgress", "HandOver"]
