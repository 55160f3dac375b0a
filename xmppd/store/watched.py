"""Watched: failures of the database are logged when they begin and end, not each time."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from sqlalchemy import Connection, Select
from twisted.internet import defer
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from typing_extensions import override

from xmppd.events import Undo
from xmppd.host.metrics import Histogram
from xmppd.store.database import Columns, Database, NewRows, Parameters, T, no_check
from xmppd.store.errors import StoreError
from xmppd.store.limits import CALL_LIMIT_S

ABANDONED = "Other nodes declared this node dead: it no longer reads or writes."
NOT_ALLOWED = "This node may not act: others may have declared it dead."

CALM_S = 2.0
"""The time without failures, and with a success, after which it works again."""

OPERATIONS = ("read", "write", "append")

SLOW_S = 0.5
"""A call that takes so long is slow."""

LATELY = 0.1
"""What one call counts for, of the time that calls have taken lately."""

LATELY_S = 60.0

BOUNDS_S = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.25, 1.0, 5.0)

_log = Logger()


class NotNow(StoreError):
    """An error: this node may not act just now, and perhaps may in a moment."""


class Episode:
    """An episode of failures: logged once when it begins, and once when it ends, with their number
    (ST-3).

    Args:
        clock: The reactor's.
        doing: The kind of call that fails, such as ``read``.

    Attributes:
        error: The latest failure.
    """

    def __init__(self, clock: IReactorTime, doing: str) -> None:
        self._clock = clock
        self._doing = doing
        self._count = 0
        self._began = self._failed = 0.0
        self._look: IDelayedCall | None = None
        self.error = ""

    @property
    def lasts(self) -> bool:
        """Whether it has failed and is not known to work again."""
        return self._count > 0

    def failed(self, error: StoreError) -> None:
        """Note one more failure."""
        self._failed = self._clock.seconds()
        if not self._count:
            self._began = self._failed
            _log.error("the database cannot be {doing}: {error}", doing=self._doing, error=error)
        self._count += 1
        self.error = str(error).rstrip(".")

    def succeeded(self) -> None:
        """Note a success; whether it goes on is checked a moment later."""
        if self._look is None:
            self._look = self._clock.callLater(CALM_S, self._look_again)

    def over(self) -> None:
        """End the episode, since its end will not be seen."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        if self._count:
            self._say(
                "the database could not be {doing} when the server stopped; failed calls: {count} "
                "in {s} s"
            )

    def _look_again(self) -> None:
        self._look = None
        if self._clock.seconds() - self._failed >= CALM_S:  # else the next success looks again
            self._say("the database can be {doing} again; failed calls: {count} in {s} s")

    def _say(self, words: str) -> None:
        count, self._count = self._count, 0
        seconds = round(self._failed - self._began)
        _log.info(words, doing=self._doing, count=count, s=seconds)


class Watched(Database):
    """A database of which the log says when it fails, and when it works again.

    Reading and writing are told apart: on a full disk one goes on without the other.

    Args:
        database: The one that is asked.
        clock: The reactor's.

    Attributes:
        may_write: Whether this server may write now, where other nodes write to it as well.
        voice: An awaitable until it may, which need not come.
        took_s: The time that each of :data:`OPERATIONS` has taken, with its wait for a turn.
        under_way: The number of calls that have not ended.
        failures: How often each of :data:`OPERATIONS` has failed.
    """

    def __init__(self, database: Database, clock: IReactorTime) -> None:
        self.alone = database.alone
        self.shared = database.shared
        self._database = database
        self._clock = clock
        self._reading = Episode(clock, "read")
        self._writing = Episode(clock, "written")
        self._is_abandoned = False
        self.took_s = {operation: Histogram(*BOUNDS_S) for operation in OPERATIONS}
        self.under_way = 0
        self.failures = dict.fromkeys(OPERATIONS, 0)
        self._lately_s = self._ended = 0.0
        self.may_write: Callable[[], bool] = lambda: True
        self.voice: Callable[[], defer.Deferred[None]] = lambda: defer.succeed(None)

    def behind(self, wrap: Callable[[Database], Database]) -> Undo:
        """Put another database between this one and the one that it asks; returns what takes that
        out again.
        """
        before = self._database
        self._database = wrap(before)

        def undo() -> None:
            self._database = before

        return undo

    def failing(self) -> dict[str, str]:
        """What cannot be done with the database just now: ``read``, ``written``; and why."""
        episodes = {"read": self._reading, "written": self._writing}
        return {doing: each.error for doing, each in episodes.items() if each.lasts}

    def lately_s(self) -> float:
        """The time that a call has taken lately, in the middle; 0 when the last one was a minute
        ago.
        """
        return self._lately_s if self._clock.seconds() - self._ended < LATELY_S else 0.0

    def abandon(self) -> None:
        """Read and write nothing more, not even what is under way and has not begun."""
        self._is_abandoned = True
        self.may_write = lambda: False

    @override
    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        await self._database.open(upgrade, may_create)

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        if self._is_abandoned:
            raise StoreError(ABANDONED)
        began = self._begin()
        try:
            rows = await self._database.read(query, parameters)
        except StoreError as error:
            self._failed("read", self._reading, error)
            raise
        finally:
            self._end("read", began)
        if self._reading.lasts:
            self._reading.succeeded()
        return rows

    @override
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        if self._is_abandoned:
            raise StoreError(ABANDONED)
        if self.shared:
            change = partial(self._if_allowed, change)
        began = self._begin()
        try:
            result = await self._when_allowed(
                lambda: self._database.write(change, limit_s), limit_s
            )
        except NotNow:
            raise
        except StoreError as error:
            self._failed("write", self._writing, error)
            raise
        finally:
            self._end("write", began)
        if self._writing.lasts:
            self._writing.succeeded()
        return result

    @override
    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        if self._is_abandoned:
            raise StoreError(ABANDONED)
        if self.shared:
            check = self._check_allowed
        began = self._begin()
        try:
            await self._when_allowed(
                lambda: self._database.append(*parts, check=check, limit_s=limit_s), limit_s
            )
        except NotNow:
            raise
        except StoreError as error:
            self._failed("append", self._writing, error)
            raise
        finally:
            self._end("append", began)
        if self._writing.lasts:
            self._writing.succeeded()

    def _begin(self) -> float:
        self.under_way += 1
        return self._clock.seconds()

    def _end(self, operation: str, began: float) -> None:
        self.under_way -= 1
        self._ended = self._clock.seconds()
        took_s = self._ended - began
        self.took_s[operation].observe(took_s)
        self._lately_s += LATELY * (took_s - self._lately_s)

    def _failed(self, operation: str, episode: Episode, error: StoreError) -> None:
        self.failures[operation] += 1
        episode.failed(error)

    def _if_allowed(self, change: Callable[[Connection], T], connection: Connection) -> T:
        """Make a change, in a thread, if this node may act when its turn has come (ST-11)."""
        self._check_allowed()
        return change(connection)

    def _check_allowed(self) -> None:
        if not self.may_write():
            raise NotNow(NOT_ALLOWED)

    async def _when_allowed(self, work: Callable[[], Awaitable[T]], limit_s: float) -> T:
        """Do something, and once more if this node may not act: as soon as it may.

        Raises:
            NotNow: It may not for so long, or again.
        """
        try:
            return await work()
        except NotNow:
            if self._is_abandoned:
                raise
        try:
            await self.voice().addTimeout(limit_s, self._clock)
        except defer.TimeoutError as error:
            raise NotNow(NOT_ALLOWED) from error
        return await work()

    @override
    def free_bytes(self) -> float:
        return self._database.free_bytes()

    @override
    async def close(self) -> None:
        try:
            await self._database.close()
        finally:
            self._reading.over()
            self._writing.over()


__all__ = ["CALM_S", "Episode", "Watched"]
