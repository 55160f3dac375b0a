"""When accounts were last here: noted at once, written a moment later, many at a time."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import islice

from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from xmppd.store import changes, queries, rows
from xmppd.store.base import LastPresence, StoreError, Unreadable
from xmppd.store.database import Database
from xmppd.store.limits import in_time
from xmppd.store.schema import digest

WRITE_AFTER_S = 0.5
RETRY_AFTER_S = 5.0
MAX_UNWRITTEN = 10_000
CLOSE_LIMIT_S = 2.0
"""For so little a stop does not wait longer."""

_log = Logger()


class LastPresences:
    """The last presences of a database, with those that are yet to be written.

    Args:
        database: Where they go.
        clock: Tells when.
        heal: Sets aside what cannot be read of an account's.
        max_unwritten: With so many unwritten, who brings another one waits for them.
    """

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        heal: Callable[[str], Awaitable[None]],
        max_unwritten: int = MAX_UNWRITTEN,
    ) -> None:
        self._database = database
        self._clock = clock
        self._heal = heal
        self._max_unwritten = max_unwritten
        self._unwritten: dict[str, LastPresence] = {}
        self._being_written: dict[str, LastPresence] = {}
        self._closed = False
        self._lock = DeferredLock()
        self._timer: IDelayedCall | None = None
        self._writing: Deferred[None] = succeed(None)

    async def find(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        """Those of them that were ever here."""
        found: dict[str, LastPresence] = {}
        remaining = iter(dict.fromkeys(accounts))
        while chunk := list(islice(remaining, queries.MAX_NAMES_PER_QUERY)):
            found.update(await self._find_written(chunk))
        for unwritten in (self._being_written, self._unwritten):
            found.update((name, unwritten[name]) for name in accounts if name in unwritten)
        return found

    async def save(self, account: str, last: LastPresence) -> None:
        """Note it; written at the latest after :data:`WRITE_AFTER_S`."""
        if self._closed:
            raise StoreError("The store is closed.")
        if len(self._unwritten) >= self._max_unwritten:
            await self.write()
        self._unwritten[account] = last
        self._write_soon()

    async def write(self) -> None:
        """Write all that is noted.

        Raises:
            StoreError: It could not be written; it stays noted.
        """
        await self._lock.run(lambda: Deferred.fromCoroutine(self._write_noted()))

    async def close(self) -> None:
        """Write what is left; what cannot be written is logged."""
        self._closed = True
        if self._timer:
            self._timer.cancel()
            self._timer = None
        writing = Deferred.fromCoroutine(self._write_rest())
        try:
            await in_time(writing, self._clock, CLOSE_LIMIT_S)
        except StoreError:
            count = len(self._unwritten) + len(self._being_written)
            if count:
                _log.error("when {count} accounts were here last is not written", count=count)

    async def _write_rest(self) -> None:
        await self._writing
        await self.write()

    async def _find_written(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        names = {digest(account): account for account in accounts}
        parameters = queries.owner_parameters(list(names))
        query = queries.last_presences_of(len(parameters))
        found = {}
        for owner, seen, status in await self._database.read(query, parameters):
            try:
                found[names[owner]] = rows.last_presence(seen, status)
            except Unreadable:
                await self._heal(names[owner])
        return found

    def _write_soon(self, after_s: float = WRITE_AFTER_S) -> None:
        if self._timer is None and not self._closed:
            self._timer = self._clock.callLater(after_s, self._write_now)

    def _write_now(self) -> None:
        self._timer = None
        self._writing = Deferred.fromCoroutine(self._write_or_retry())

    async def _write_or_retry(self) -> None:
        try:
            await self.write()
        except StoreError:
            self._write_soon(RETRY_AFTER_S)

    async def _write_noted(self) -> None:
        if not self._unwritten:
            return
        self._being_written, self._unwritten = self._unwritten, {}
        try:
            change = partial(changes.save_last_presences, last=self._being_written)
            await self._database.write(change)
        except StoreError:
            self._unwritten = {**self._being_written, **self._unwritten}
            raise
        finally:
            self._being_written = {}


__all__ = ["LastPresences"]
