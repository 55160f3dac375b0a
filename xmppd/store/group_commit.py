"""GroupCommit: many writes, one wait for the disk."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

from sqlalchemy import Connection, Engine
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from xmppd.stanza.phrases import counted
from xmppd.store.engine import database_errors, sqlite_connection, transaction
from xmppd.store.errors import ChangeRefused, StoreError, Unreadable
from xmppd.store.limits import GRACE_S, in_time
from xmppd.store.threads import Threads

MAX_QUEUED_WRITES = 10_000
MAX_WRITES_PER_COMMIT = 500

_REFUSALS = (ChangeRefused, StoreError, Unreadable)

T = TypeVar("T")


class _Write:
    """A change, and the Deferred that waits for its commit."""

    __slots__ = ("change", "limit_s", "waiting")

    def __init__(self, change: Callable[[Connection], object], limit_s: float) -> None:
        self.change = change
        self.limit_s = limit_s
        self.waiting: Deferred[object] = Deferred()

    def attempt(self, connection: Connection) -> object:
        """Make the change in a savepoint, so that one that is refused takes no other with it.

        Returns:
            Its result, or the Failure with its refusal.
        """
        # By the driver: SQLAlchemy's own savepoints cost as much as several changes.
        driver = sqlite_connection(connection)
        try:
            with database_errors(connection.engine.url):
                driver.execute("SAVEPOINT one_write")
                outcome = self.change(connection)
                driver.execute("RELEASE one_write")
        except _REFUSALS as refusal:
            # On a full disk SQLite takes back the whole transaction.
            if not driver.in_transaction:
                raise
            driver.execute("ROLLBACK TO one_write")
            driver.execute("RELEASE one_write")
            return Failure(refusal)
        return outcome


class GroupCommit:
    """The one writer of an SQLite file.

    While a commit waits for the disk, further changes gather, and the next commit takes all of
    them. Only the reactor's thread touches the queue.

    Args:
        engine: Of the file.
        threads: One of them, and no other, writes.
        clock: The reactor's.
        check: Called before each commit in the thread; raises StoreError if none may be made.
        max_queued_writes: The length of the queue at which another one is refused.

    Attributes:
        commits: Their number.
    """

    def __init__(
        self,
        engine: Engine,
        threads: Threads,
        clock: IReactorTime,
        check: Callable[[], None],
        max_queued_writes: int = MAX_QUEUED_WRITES,
    ) -> None:
        self.commits = 0
        self._engine = engine
        self._threads = threads
        self._clock = clock
        self._check = check
        self._max_queued_writes = max_queued_writes
        self._queue: deque[_Write] = deque()
        self._writing: Deferred[None] = succeed(None)

    async def write(self, change: Callable[[Connection], T], limit_s: float) -> T:
        """Make a change; returns its result, once it is safe on the disk.

        One whose turn has not come in time is not made any more.

        Raises:
            StoreError: It could not be written, it takes too long, or too many wait already.
        """
        if len(self._queue) >= self._max_queued_writes:
            raise StoreError(
                f"The database is too slow: it has {counted(len(self._queue), 'write')} waiting."
            )
        write = _Write(change, limit_s)
        self._queue.append(write)
        if self._writing.called:
            self._writing = Deferred.fromCoroutine(self._write_queue())
        # The thread gives up first, if it can: then it is known that nothing was written.
        outcome = await in_time(write.waiting, self._clock, limit_s + GRACE_S)
        return cast(T, outcome)

    async def drain(self) -> None:
        """Wait until nothing is queued."""
        await self._writing

    async def _write_queue(self) -> None:
        while self._queue:
            size = min(len(self._queue), MAX_WRITES_PER_COMMIT)
            writes = [self._queue.popleft() for _ in range(size)]
            batch = [write for write in writes if not write.waiting.called]
            if batch:
                await self._settle(batch)

    async def _settle(self, batch: list[_Write]) -> None:
        """Commit, and fire the Deferreds that wait.

        An error of the database fails all changes. Any other error is that of one of them: then
        each is tried alone.
        """
        limit_s = max(write.limit_s for write in batch)
        commit = self._threads.run(partial(self._commit, batch), limit_s)
        settled: list[list[object] | Failure] = []
        await Deferred.fromCoroutine(commit).addBoth(settled.append)
        [result] = settled
        if not isinstance(result, Failure):
            for write, outcome in zip(batch, result, strict=True):
                write.waiting.callback(outcome)
        elif len(batch) == 1 or result.check(StoreError):
            for write in batch:
                write.waiting.errback(result)
        else:
            for write in batch:
                await self._settle([write])

    def _commit(self, batch: list[_Write]) -> list[object]:
        self._check()
        with (
            database_errors(self._engine.url),
            self._engine.connect() as connection,
            transaction(sqlite_connection(connection)),
        ):
            outcomes = [write.attempt(connection) for write in batch]
        self.commits += 1
        return outcomes


__all__ = ["MAX_QUEUED_WRITES", "GroupCommit"]
