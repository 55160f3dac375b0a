"""Last presences of accounts: noted at once, written a moment later, many at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Select,
    Table,
    Text,
    select,
)
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from xmppd.host.clocks import wall_clock
from xmppd.store.checks import check_moment, check_text
from xmppd.store.columns import digest, digest_column, metadata, upsert
from xmppd.store.database import Database
from xmppd.store.errors import StoreError, Unreadable
from xmppd.store.healing import RecordStore
from xmppd.store.kind import Kind
from xmppd.store.limits import in_time
from xmppd.store.many import QUERY_SIZES, chunks, one_of, owner_parameters

WRITE_AFTER_S = 0.5
RETRY_AFTER_S = 5.0
MAX_UNWRITTEN = 10_000
CLOSE_LIMIT_S = 2.0
"""The longest that a stop waits for last presences."""

_log = Logger()


last_presences = Table(
    "last_presences",
    metadata,
    digest_column("owner"),
    Column("seen", Double, nullable=False),
    Column("status", Text),
    sqlite_with_rowid=False,
)

_SAVE = upsert(last_presences)


@dataclass(frozen=True, slots=True)
class LastPresence:
    """The last presence of an account, from when its last resource went.

    Attributes:
        seen: The time, in seconds since 1970.
        status: Text of the ``<status/>`` it left with; None if none.
    """

    seen: float
    status: str | None


class PresenceStore(RecordStore):
    """The last presences of accounts, with those that are yet to be written.

    Args:
        database: Keeps them.
        clock: The reactor's.
        now: Tells the time in seconds since 1970.
        max_unwritten: The number of unwritten ones at which another one has to wait.
    """

    def __init__(
        self,
        database: Database,
        clock: IReactorTime,
        now: Callable[[], float] = wall_clock,
        max_unwritten: int = MAX_UNWRITTEN,
    ) -> None:
        super().__init__(database, now)
        self._clock = clock
        self._max_unwritten = max_unwritten
        self._unwritten: dict[str, LastPresence] = {}
        self._being_written: dict[str, LastPresence] = {}
        self._closed = False
        self._lock = DeferredLock()
        self._timer: IDelayedCall | None = None
        self._writing: Deferred[None] = succeed(None)

    def open(self) -> None:
        """Begin to take last presences."""
        self._closed = False

    async def last_presence(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        """The last presences of those accounts that were ever here."""
        found: dict[str, LastPresence] = {}
        before = self._noted(accounts)
        for names in chunks(accounts):
            found.update(await self._find_written(names))
        for name, last in before.items():  # it may have been written behind what was read
            if name not in found or found[name].seen < last.seen:
                found[name] = last
        found.update(self._noted(accounts))
        return found

    def _noted(self, accounts: Sequence[str]) -> dict[str, LastPresence]:
        """The last presences that are yet to be written."""
        if not self._unwritten and not self._being_written:
            return {}
        noted = self._being_written | self._unwritten
        return {name: noted[name] for name in accounts if name in noted}

    async def save_last_presence(self, account: str, last: LastPresence) -> None:
        """Note that the account's last resource went; written after :data:`WRITE_AFTER_S`."""
        if self._closed:
            raise StoreError("The store is closed.")
        if len(self._unwritten) >= self._max_unwritten:
            await self.write()
        self._unwritten[account] = last
        self._write_soon()

    async def write(self) -> None:
        """Write all noted last presences.

        Raises:
            StoreError: They could not be written; they stay noted.
        """
        await self._lock.run(lambda: Deferred.fromCoroutine(self._write_noted()))

    def abandon(self) -> None:
        """Forget those that are left."""
        self._closed = True
        self._unwritten.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    async def close(self) -> None:
        """Write those that are left; those that cannot be written are logged."""
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
                _log.error(
                    "accounts whose last presence could not be written: {count}", count=count
                )

    async def _write_rest(self) -> None:
        await self._writing
        await self.write()

    async def _find_written(self, names: Mapping[bytes, str]) -> dict[str, LastPresence]:
        parameters = owner_parameters(list(names))
        query = _last_presences_of(len(parameters))
        found = {}
        for owner, seen, status in await self._database.read(query, parameters):
            try:
                found[names[owner]] = _last_presence(seen, status)
            except Unreadable:
                await self._heal((LAST_PRESENCE,), {"owner": owner}, names[owner])
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
            change = partial(_save, last=self._being_written)
            await self._database.write(change)
        except StoreError:
            self._unwritten = {**self._being_written, **self._unwritten}
            raise
        finally:
            self._being_written = {}


def _save(connection: Connection, last: Mapping[str, LastPresence]) -> None:
    """Write last presences, in an order that lets two servers do so at once."""
    by_owner = {digest(account): left for account, left in last.items()}
    rows = [
        {"owner": owner, "seen": left.seen, "status": left.status}
        for owner, left in sorted(by_owner.items(), key=itemgetter(0))
    ]
    connection.execute(_SAVE.on(connection), rows)


@lru_cache(maxsize=len(QUERY_SIZES))
def _last_presences_of(size: int) -> Select[bytes, float, str | None]:
    """Query for this many names at once."""
    return select(last_presences.c.owner, last_presences.c.seen, last_presences.c.status).where(
        one_of(last_presences.c.owner, size)
    )


def _last_presence(seen: float, status: str | None) -> LastPresence:
    if status is not None:
        check_text("status", status)
    return LastPresence(check_moment("seen", seen), status)


LAST_PRESENCE = Kind(
    "last presence",
    last_presences,
    ("seen", "status"),
    _last_presence,
    instead={"status": None},
)

__all__ = ["LAST_PRESENCE", "LastPresence", "PresenceStore", "last_presences"]
