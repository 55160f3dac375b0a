"""DatabaseLock: one server at a time works on a PostgreSQL database, or one service of nodes."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import URL, Connection, Row, text
from sqlalchemy.exc import SQLAlchemyError
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.store.engine import database_errors, make_engine
from xmppd.store.errors import StoreError
from xmppd.store.threads import Threads
from xmppd.store.tries import until_free

LOOK_EVERY_S = 2.0
"""The time between two checks whether the lock is still ours."""

LOOK_LIMIT_S = 5.0
"""A server that does not answer so small a question for so long does not answer at all."""

_KEY = {"class": 5222, "object": 1}
_TAKE = text("SELECT pg_try_advisory_lock(:class, :object)")
_TAKE_SHARED = text("SELECT pg_try_advisory_lock_shared(:class, :object)")
_STILL_THERE = text("SELECT 1")
_WHERE_WE_ARE = text(
    "SELECT d.oid, a.pid, a.backend_start::text FROM pg_stat_activity a, pg_database d"
    " WHERE a.pid = pg_backend_pid() AND d.datname = current_database()"
)
_WHO_HAS_IT = text(
    "SELECT l.pid, a.backend_start::text, a.client_addr::text, l.mode FROM pg_locks l"
    " LEFT JOIN pg_stat_activity a ON a.pid = l.pid JOIN pg_database d ON d.oid = l.database"
    " WHERE l.locktype = 'advisory' AND d.datname = current_database() AND l.granted"
    " AND l.classid = :class AND l.objid = :object AND l.objsubid = 2"
)
_SHARED = "ShareLock"
_END = text("SELECT pg_terminate_backend(:pid)")
_A_MOMENT = text("SELECT pg_sleep(0.05)")

_log = Logger()


class TakenOver(StoreError):
    """An error: another server works on the database."""


@dataclass(frozen=True)
class _Seat:
    """A connection as the server knows it.

    Attributes:
        database: Number of the database; another one may come to have its name.
        pid: Of the process that serves the connection.
        since: The time when that began, since numbers of processes come again.
    """

    database: int
    pid: int
    since: str


class DatabaseLock:
    """An advisory lock on a connection of its own (ST-4).

    PostgreSQL lifts it when that connection ends. Then it is taken again; if another server has
    been quicker, this one must not touch the database any more. The nodes of one service share it,
    so that they and a server that knows of no nodes refuse each other.

    Args:
        url: Of the database.
        reactor: The reactor.
        again: Called when the lock was lost and is ours again.
        taken_over: Called once, with the reason, when another server has the database.
        shared: Whether other nodes may have it as well.

    Attributes:
        trouble: The reason why the database may not be used now; None while the lock is ours.
    """

    def __init__(
        self,
        url: URL,
        reactor: IReactorFromThreads,
        again: Callable[[], None],
        taken_over: Callable[[str], None],
        *,
        shared: bool = False,
    ) -> None:
        self.trouble: str | None = None
        self._url = url
        self._shown = url.render_as_string(hide_password=True)
        self._clock = IReactorTime(reactor)
        self._again = again
        self._taken_over = taken_over
        self._take = _TAKE_SHARED if shared else _TAKE
        # Apart from those of the store: these may all be waiting for something.
        self._engine = make_engine(url).execution_options(isolation_level="AUTOCOMMIT")
        self._threads = Threads(reactor, 1)
        self._connection: Connection | None = None
        self._seat: _Seat | None = None
        self._look: IDelayedCall | None = None
        self._closed = False

    async def take(self) -> None:
        """Take the lock.

        Raises:
            StoreError: The database cannot be used, or another server has it.
        """
        if not await until_free(self._try, self._clock):
            holder = await self._threads.run(self._holder)
            raise StoreError(
                f"The database {self._shown} is in use by {holder}, or name another database."
            )
        self._look_later()

    async def close(self) -> None:
        """Release the lock."""
        self._closed = True
        if self._look is not None:
            self._look.cancel()
            self._look = None
        try:
            await self._threads.close()
        finally:
            self._release()
            self._engine.dispose()

    async def _try(self) -> bool:
        return await self._threads.run(self._sit_down)

    # -- while it is ours -------------------------------------------------------------------------

    def _look_later(self) -> None:
        if not self._closed:
            self._look = self._clock.callLater(LOOK_EVERY_S, self._begin_to_look)

    def _begin_to_look(self) -> None:
        self._look = None
        looking = self._threads.run(self._keep, LOOK_LIMIT_S)
        Deferred.fromCoroutine(looking).addCallbacks(self._kept, self._lost)

    def _kept(self, again: bool) -> None:
        if again:
            _log.warn("the lock on the database was lost, and is held again")
            self._again()
        self.trouble = None
        self._look_later()

    def _lost(self, failure: Failure) -> None:
        """Note that the lock is lost: another server may have it, so the database may not be used
        here.
        """
        error = failure.value
        self.trouble = str(error) if isinstance(error, StoreError) else repr(error)
        if isinstance(error, TakenOver):
            self._taken_over(self.trouble)
        elif not isinstance(error, StoreError):
            _log.failure("the lock on the database could not be checked", failure)
        if not isinstance(error, TakenOver):
            self._look_later()

    # -- in the thread ----------------------------------------------------------------------------

    def _keep(self) -> bool:
        """Whether the lock had to be taken again.

        Raises:
            StoreError: The server cannot be reached, or another one has the lock.
        """
        if self._connection is not None:
            try:
                self._connection.execute(_STILL_THERE)
            except SQLAlchemyError:
                self._release()
            else:
                return False
        if self._sit_down():
            return True
        raise TakenOver(f"The database {self._shown} is in use by {self._holder()}.")

    def _sit_down(self) -> bool:
        """Take the lock by a new connection; False if another has it.

        That may be our own connection of before, if the server has not noticed yet that the
        network has lost it: that one is ended.
        """
        with database_errors(self._url):
            connection = self._engine.connect()
            try:
                seat = _Seat(*connection.execute(_WHERE_WE_ARE).one())
                self._check_database(seat)
                taken = bool(connection.execute(self._take, _KEY).scalar())
                if not taken and self._end_own(connection):
                    taken = bool(connection.execute(self._take, _KEY).scalar())
            except BaseException:
                connection.invalidate()
                connection.close()
                raise
            if taken:
                self._connection, self._seat = connection, seat
            else:
                connection.close()
            return taken

    def _check_database(self, seat: _Seat) -> None:
        if self._seat is not None and seat.database != self._seat.database:
            raise StoreError(
                f"The database {self._shown} was replaced while the server was running; restart it."
            )

    def _end_own(self, connection: Connection) -> bool:
        """End our own connection of before, if that has the lock; returns whether it is gone."""
        holder = self._row(connection)
        if holder is None or self._seat is None:
            return holder is None
        if (holder.pid, holder.backend_start) != (self._seat.pid, self._seat.since):
            return False
        connection.execute(_END, {"pid": holder.pid})
        for _ in range(20):
            if self._row(connection) is None:
                return True
            connection.execute(_A_MOMENT)
        return False

    def _holder(self) -> str:
        """Who has the lock, and what an administrator can do about it."""
        with database_errors(self._url), self._engine.connect() as connection:
            holder = self._row(connection)
        if holder is None:
            return "another xmppd or xmppctl: stop that one"
        place = f"process {holder.pid} of PostgreSQL, for {holder.client_addr or 'this machine'}"
        if holder.mode == _SHARED:
            return (
                f"the nodes of a [cluster] ({place}): use the same [cluster] here, stop the nodes"
            )
        if self._take is _TAKE_SHARED:
            return f"an xmppd without [cluster], or xmppctl ({place}): stop that one"
        return f"another xmppd or xmppctl ({place}): stop that one"

    def _row(self, connection: Connection) -> Row[tuple[int, str, str, str]] | None:
        return connection.execute(_WHO_HAS_IT, _KEY).first()

    def _release(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()  # the lock goes with the connection, so it is not kept
            connection.close()


__all__ = ["DatabaseLock", "TakenOver"]
