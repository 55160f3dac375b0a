"""JointReads: reads that are made at the same time go together, in one trip to the database."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from sqlalchemy import Select
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from xmppd.stanza.phrases import counted
from xmppd.store.database import Columns, Parameters
from xmppd.store.errors import StoreError
from xmppd.store.limits import CALL_LIMIT_S, GRACE_S, in_time
from xmppd.store.threads import Threads

MAX_WAITING_READS = 10_000
MAX_READS_PER_TRIP = 200


class Read:
    """A query, and the Deferred that waits for its rows.

    Attributes:
        query: The statement.
        parameters: Its values.
        rows: Fired with the result.
    """

    __slots__ = ("parameters", "query", "rows")

    def __init__(self, query: Select[*tuple[object, ...]], parameters: Parameters) -> None:
        self.query = query
        self.parameters = parameters
        self.rows: Deferred[object] = Deferred()


class JointReads:
    """All reads, made by a few carriers.

    What one turn of the reactor asks leaves at its end, with one carrier: a trip with ten reads
    costs twice as much as one with a single read. While all carriers are under way, further reads
    gather, and the next one that is back takes all of them: the rosters, lists and messages of many
    accounts in one trip. Only the reactor's thread touches the queue.

    Args:
        answer: Gets the reads of a trip, in a thread; returns the rows of each, or its Failure.
        threads: Run them.
        clock: The reactor's.
        carriers: The number of trips at the same time.
        max_waiting_reads: The number of waiting reads at which another one is refused.

    Attributes:
        trips: Their number.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Read]], Sequence[object]],
        threads: Threads,
        clock: IReactorTime,
        carriers: int,
        max_waiting_reads: int = MAX_WAITING_READS,
    ) -> None:
        self.trips = 0
        self._answer = answer
        self._threads = threads
        self._clock = clock
        self._at_home = carriers
        self._max_waiting_reads = max_waiting_reads
        self._waiting: deque[Read] = deque()
        self._leaving = False

    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        """The rows of a query.

        Raises:
            StoreError: The database failed or takes too long, or too many reads wait already.
        """
        if len(self._waiting) >= self._max_waiting_reads:
            raise StoreError(
                f"The database is too slow: it has {counted(len(self._waiting), 'read')} waiting."
            )
        read = Read(query, parameters)
        self._waiting.append(read)
        if self._at_home and not self._leaving:
            self._leaving = True
            self._clock.callLater(0, self._leave)
        rows = await in_time(read.rows, self._clock, CALL_LIMIT_S + GRACE_S)
        return cast("Sequence[tuple[*Columns]]", rows)  # the type is dear to make

    def _leave(self) -> None:
        """Send as many carriers as this turn's reads need: one, but for thousands."""
        self._leaving = False
        while self._at_home and self._waiting:
            self._at_home -= 1
            Deferred.fromCoroutine(self._carry()).addBoth(self._back)

    async def _carry(self) -> None:
        while self._waiting:
            size = min(len(self._waiting), MAX_READS_PER_TRIP)
            reads = [self._waiting.popleft() for _ in range(size)]
            batch = [read for read in reads if not read.rows.called]  # else it is not waited for
            if not batch:
                continue
            self.trips += 1
            asking = Deferred.fromCoroutine(self._threads.run(partial(self._answer, batch)))
            [(answered, result)] = await DeferredList([asking], consumeErrors=True)
            if answered:
                for read, rows in zip(batch, result, strict=True):
                    read.rows.callback(rows)
            else:
                for read in batch:
                    read.rows.errback(cast(Failure, result))

    def _back(self, _: object) -> None:
        self._at_home += 1


__all__ = ["MAX_READS_PER_TRIP", "MAX_WAITING_READS", "JointReads", "Read"]
