"""GatheredWrites: what changes often is gathered for a moment, and written at once."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, Protocol, Self, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.host.locks import Locks
from xmppd.store.errors import StoreError

GATHER_S = 0.1
"""What was changed last is written this much later."""

MAX_GATHERED = 20_000
"""Rows that wait to be written, while the database does not take them; changes of others are
dropped then."""

_log = Logger()


class WaitingChange(Protocol):
    """What has changed in a row since it was written last; a new one says that nothing has."""

    def after(self, earlier: Self) -> None:
        """Take in what had changed before."""


C = TypeVar("C", bound=WaitingChange)
K = TypeVar("K")


class GatheredWrites(Generic[K, C]):
    """The changes of rows that wait to be written together.

    Args:
        write: Writes them, by the keys of their rows; raises StoreError if it cannot.
        change: Makes a change that says nothing.
        what: What is lost if they cannot be written, for the log.
        clock: The reactor's.
    """

    def __init__(
        self,
        write: Callable[[Mapping[K, C]], Awaitable[None]],
        change: Callable[[], C],
        what: str,
        clock: IReactorTime,
    ) -> None:
        self.write = write
        self.change = change
        self.what = what
        self.clock = clock
        self._waiting: dict[K, C] = {}
        self._flushing: IDelayedCall | None = None
        self._locks = Locks()

    def of(self, key: K) -> C:
        """What has changed in a row and is not written yet; the caller adds to it."""
        if self._flushing is None:
            self._flush_soon()
        change = self._waiting.get(key)
        if change is None:
            change = self.change()
            if len(self._waiting) < MAX_GATHERED:
                self._waiting[key] = change
        return change

    def _flush_soon(self) -> None:
        if self._flushing is None:
            self._flushing = self.clock.callLater(GATHER_S, self._flush)

    def _flush(self) -> None:
        self._flushing = None
        Deferred.fromCoroutine(self.flush()).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        """Log a bug; failures of the store were logged, and it is tried again."""
        if not failure.check(StoreError):
            _log.failure("changes could not be written: {what}", failure, what=self.what)

    async def flush(self) -> None:
        """Write what was gathered until now.

        Raises:
            StoreError: It cannot be written; it is kept for the next time.
        """
        async with self._locks.held(None):
            if not self._waiting:
                return
            writing, self._waiting = self._waiting, {}
            try:
                await self.write(writing)
            except StoreError:
                for key, change in self._waiting.items():
                    if key in writing:
                        change.after(writing[key])
                self._waiting = {**writing, **self._waiting}
                self._flush_soon()
                raise

    async def close(self) -> None:
        """Write what waits, for the last time."""
        try:
            await self.flush()
        except StoreError as error:
            _log.error(
                "some changes were not written: {what}: {error}", what=self.what, error=error
            )
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None


__all__ = ["GATHER_S", "MAX_GATHERED", "GatheredWrites", "WaitingChange"]
