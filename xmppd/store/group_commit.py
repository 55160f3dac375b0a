"""Many writes, one wait for the disk."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection, Engine
from twisted.internet.defer import Deferred, succeed
from twisted.python.failure import Failure

from xmppd.store.base import StoreError
from xmppd.store.engine import database_errors
from xmppd.store.threads import Threads

MAX_QUEUED_WRITES = 10_000
MAX_WRITES_PER_COMMIT = 500

T = TypeVar("T")


class _Write:
    """A change, and who waits for its commit."""

    __slots__ = ("change", "outcome", "waiting")

    def __init__(self, change: Callable[[Connection], object]) -> None:
        self.change = change
        self.waiting: Deferred[object] = Deferred()
        self.outcome: object = None

    def attempt(self, connection: Connection) -> None:
        """Make the change in a savepoint, so that one that fails takes no other with it."""
        try:
            with database_errors(connection.engine.url), connection.begin_nested():
                self.outcome = self.change(connection)
        except Exception:
            self.outcome = Failure()
            # On a full disk SQLite takes all of them back; then all must be told.
            if not connection.connection.dbapi_connection.in_transaction:  # type: ignore[union-attr]  # sqlite3's
                raise


class GroupCommit:
    """The one writer of an SQLite file.

    While a commit waits for the disk, whatever else comes in gathers, and the next commit takes
    all of it. Only the reactor's thread touches the queue.

    Attributes:
        commits: How many there were.
    """

    def __init__(
        self, engine: Engine, threads: Threads, max_queued_writes: int = MAX_QUEUED_WRITES
    ) -> None:
        self.commits = 0
        self._engine = engine
        self._threads = threads
        self._max_queued_writes = max_queued_writes
        self._queue: deque[_Write] = deque()
        self._writing: Deferred[None] = succeed(None)

    async def write(self, change: Callable[[Connection], T]) -> T:
        """What the change returns, once it is safe on the disk.

        Raises:
            StoreError: It could not be written, or too many wait already.
        """
        if len(self._queue) >= self._max_queued_writes:
            raise StoreError(f"The database is too slow: {len(self._queue)} writes wait for it.")
        write = _Write(change)
        self._queue.append(write)
        if self._writing.called:
            self._writing = Deferred.fromCoroutine(self._write_queue())
        return await write.waiting  # type: ignore[return-value]  # it is what change returned

    async def drain(self) -> None:
        """Wait until nothing is queued."""
        await self._writing

    async def _write_queue(self) -> None:
        while self._queue:
            batch = [
                self._queue.popleft() for _ in range(min(len(self._queue), MAX_WRITES_PER_COMMIT))
            ]
            try:
                await self._threads.run(partial(self._commit, batch))
            except Exception:
                failure = Failure()
                for write in batch:
                    write.waiting.errback(failure)
            else:
                for write in batch:
                    write.waiting.callback(write.outcome)

    def _commit(self, batch: list[_Write]) -> None:
        with database_errors(self._engine.url), self._engine.begin() as connection:
            for write in batch:
                write.attempt(connection)
        self.commits += 1


__all__ = ["MAX_QUEUED_WRITES", "GroupCommit"]
