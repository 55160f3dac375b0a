"""LoginQueue: as many clients log in at once as the server keeps up with, the others in order."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from random import uniform
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from xmppd.host.metrics import Metric
from xmppd.stanza import StreamCondition, StreamError
from xmppd.stanza.phrases import counted

W = TypeVar("W")

TICK_S = 0.05
"""The time between two adaptations of the window, while logins are under way."""

LATE_S = 0.05
"""Later than this the server does not keep up."""

SMALLEST_WINDOW = 32
FIRST_WINDOW = 100
LARGEST_WINDOW = 1_000

SLOT_S = 5.0
"""A login that takes longer waits for its client, and is no load meanwhile."""

NEWCOMERS_PER_FULL_LOGIN = 4
"""New logins, some of which come with a token, that pass one that waits for a full login."""

MAX_LET_IN_PER_TURN = 16
MIN_RETRY_S = 5.0


class Window:
    """The number of logins at once: some more while the server keeps up, half when it is late.

    Attributes:
        size: That number.
    """

    def __init__(self) -> None:
        self.size = float(FIRST_WINDOW)

    def adapt(self, late_s: float, *, wanted: bool) -> None:
        """Adapt to how late the server was, and to whether a login waits for more room."""
        if late_s > LATE_S:
            self.size = max(SMALLEST_WINDOW, self.size / 2)
        elif wanted:
            self.size = min(LARGEST_WINDOW, self.size * 1.05 + 1)


class StoreWatch:
    """The time that the store takes for a small query, made again when it has answered.

    Args:
        clock: Tells the time.
        question: Makes the query.
    """

    def __init__(self, clock: IReactorTime, question: Callable[[], Awaitable[object]]) -> None:
        self._clock = clock
        self._question = question
        self._asked_at: float | None = None
        self._took_s = 0.0

    def late_s(self) -> float:
        """The seconds that it took, or takes already; makes the query again."""
        now = self._clock.seconds()
        waited_s = 0.0 if self._asked_at is None else now - self._asked_at
        late_s = max(self._took_s, waited_s)
        if self._asked_at is None:
            self._asked_at = now
            Deferred.fromCoroutine(self._ask()).addBoth(self._answered, now)
        return late_s

    async def _ask(self) -> None:
        await self._question()

    def _answered(self, _: object, asked_at: float) -> None:
        """Note that the store has answered, or failed."""
        self._asked_at = None
        self._took_s = self._clock.seconds() - asked_at


@dataclass
class Counts:
    """The counts of logins, for the administrator.

    Attributes:
        let_in: Logins that began.
        refused: Logins that were refused.
        waiting_peak: The most that waited at once.
    """

    let_in: int = 0
    refused: int = 0
    waiting_peak: int = 0


class LoginQueue(Generic[W]):
    """Lets logins begin, as many at once as its window has room for; the others wait in order.

    The cost of a login shows only when the client has said how it logs in. One that comes with a
    token or resumes goes on; a full one steps back behind those that have just come.

    Nothing is measured and no timer runs while nobody logs in. The limit of those that wait is up
    to the callers of :meth:`begin`.

    Args:
        clock: The reactor's.
        lateness: Each tells how late some part of the server is, in seconds.
        over: Called with a login that takes so long that it is not waited for.

    Attributes:
        window: The number of logins at once.
        counts: For :meth:`metrics`.
        late_s: The seconds by which the server was late at the last measurement.
    """

    def __init__(
        self,
        clock: IReactorTime,
        lateness: tuple[Callable[[], float], ...] = (),
        over: Callable[[W], None] = lambda who: None,
    ) -> None:
        self.window = Window()
        self.counts = Counts()
        self.late_s = 0.0
        self._clock = clock
        self._lateness = lateness
        self._over = over
        self._in_progress: dict[W, float] = {}
        self._newcomers: dict[W, tuple[Deferred[None], float]] = {}
        self._stepped_back: dict[W, tuple[Deferred[None], float]] = {}
        self._newcomers_in_a_row = 0
        self._waited_s = 0.0
        self._tick_to_come: IDelayedCall | None = None
        self._turn_to_come: IDelayedCall | None = None

    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of logins."""
        counts = self.counts
        return (
            Metric("logins_in_progress", "Logins that have begun.", "gauge",
                   lambda: self.in_progress),
            Metric("logins_at_once_max", "Logins that may run at once.", "gauge",
                   lambda: int(self.window.size)),
            Metric("logins_waiting", "Logins that wait for their turn.", "gauge",
                   lambda: self.waiting),
            Metric("logins_waiting_peak", "The most logins that have waited at once.", "gauge",
                   lambda: counts.waiting_peak),
            Metric("logins_begun", "Logins that were admitted.", "counter", lambda: counts.let_in),
            Metric("logins_refused", "Logins that were refused.", "counter",
                   lambda: counts.refused),
            Metric("late", "How late the server was at the last measurement.", "gauge",
                   lambda: round(self.late_s, 4), "seconds"),
        )  # fmt: skip

    @property
    def in_progress(self) -> int:
        """The number of logins under way."""
        return len(self._in_progress)

    @property
    def waiting(self) -> int:
        """The number of logins that wait for their turn."""
        return len(self._newcomers) + len(self._stepped_back)

    def is_in_progress(self, who: W) -> bool:
        """Whether the login has begun and is not over."""
        return who in self._in_progress

    def begin(self, who: W) -> Deferred[None] | None:
        """Begin a login, now or later.

        Returns:
            None if it may begin at once; else a Deferred that fires when its turn has come, and
            fails with a StreamError if it has waited too long.
        """
        if not self.waiting and self._has_room():
            self.counts.let_in += 1
            self._let_in(who)
            return None
        return self._wait_in(self._newcomers, who)

    def step_back(self, who: W) -> Deferred[None] | None:
        """Let others go before a login that has turned out to be a full one.

        Returns:
            None if it may go on at once, since nobody waits; else as :meth:`begin`.
        """
        if not self._newcomers and not self._stepped_back:
            return None
        self._in_progress.pop(who, None)
        return self._wait_in(self._stepped_back, who)

    def _wait_in(self, queue: dict[W, tuple[Deferred[None], float]], who: W) -> Deferred[None]:
        turn: Deferred[None] = Deferred()
        queue[who] = (turn, self._clock.seconds())
        self.counts.waiting_peak = max(self.counts.waiting_peak, self.waiting)
        self._let_more_in_soon()
        return turn

    def end(self, who: W) -> None:
        """End a login that is complete, or whose client is gone."""
        self._forget(who)
        if self._in_progress.pop(who, None) is not None:
            self._let_more_in_soon()
        if not self._in_progress and not self.waiting:
            self.stop()

    def refuse(self, who: W) -> bool:
        """Refuse a login that has waited too long; False if it does not wait."""
        turn = self._forget(who)
        if turn is None:
            return False
        turn.errback(self.refusal())
        return True

    def _forget(self, who: W) -> Deferred[None] | None:
        """Forget a login that waits; returns the awaitable it waits for."""
        for queue in (self._newcomers, self._stepped_back):
            if who in queue:
                return queue.pop(who)[0]
        return None

    def refusal(self) -> StreamError:
        """The error for a login that cannot even wait: it says when to try again, each at another
        time.
        """
        self.counts.refused += 1
        retry_s = max(MIN_RETRY_S, self._waited_s) * uniform(1, 2)  # noqa: S311  # no secret
        return StreamError(
            StreamCondition.RESOURCE_CONSTRAINT,
            f"too many clients are logging in; try again in {counted(ceil(retry_s), 'second')}",
        )

    def stop(self) -> None:
        """Measure no more, and let no waiting login begin."""
        for call in (self._tick_to_come, self._turn_to_come):
            if call is not None and call.active():
                call.cancel()
        self._tick_to_come = self._turn_to_come = None

    def _has_room(self) -> bool:
        return len(self._in_progress) < self.window.size

    def _let_in(self, who: W) -> None:
        self._in_progress[who] = self._clock.seconds()
        if self._tick_to_come is None:
            self._tick_later()

    def _let_more_in_soon(self) -> None:
        """Let more logins begin in the next turn, since the caller may be in the middle of
        something.
        """
        if self.waiting and self._turn_to_come is None and self._has_room():
            self._turn_to_come = self._clock.callLater(0, self._let_more_in)

    def _let_more_in(self) -> None:
        self._turn_to_come = None
        for _ in range(MAX_LET_IN_PER_TURN):
            if not self.waiting or not self._has_room():
                return
            queue = self._next_queue()
            who = next(iter(queue))
            turn, since = queue.pop(who)
            self._waited_s = self._clock.seconds() - since
            self._let_in(who)
            turn.callback(None)
        self._let_more_in_soon()

    def _next_queue(self) -> dict[W, tuple[Deferred[None], float]]:
        """The queue whose turn it is: new logins first; but many of them keep the others out for a
        while only.
        """
        patience = self._newcomers_in_a_row < NEWCOMERS_PER_FULL_LOGIN
        if self._newcomers and (patience or not self._stepped_back):
            self._newcomers_in_a_row += 1 if self._stepped_back else 0
            self.counts.let_in += 1
            return self._newcomers
        self._newcomers_in_a_row = 0
        return self._stepped_back

    def _tick_later(self) -> None:
        due = self._clock.seconds() + TICK_S
        self._tick_to_come = self._clock.callLater(TICK_S, self._tick, due)

    def _tick(self, due: float) -> None:
        """Measure, adapt, and find logins that take too long."""
        now = self._clock.seconds()
        self.late_s = max(now - due, *(late_s() for late_s in self._lateness), 0.0)
        self.window.adapt(self.late_s, wanted=self.waiting > 0)
        for who, since in tuple(self._in_progress.items()):
            if now - since <= SLOT_S:
                break
            del self._in_progress[who]
            self._over(who)
        self._tick_to_come = None
        if self._in_progress or self.waiting:
            self._tick_later()
        self._let_more_in_soon()
