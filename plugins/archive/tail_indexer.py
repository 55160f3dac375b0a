"""TailIndexer: entries that are written late, sorted, so that few pages of an index are touched."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.store.database import NewRows
from xmppd.store.errors import StoreError
from xmppd.store.sql import Database

from .ids import MAX_POSITION
from .tables import INDEXED_TO, SENT, add_sums, entries, peer_of, set_mark
from .tail import Accepted, Tail

INDEX_MESSAGES = 10_000
INDEX_S = 60.0
RETRY_S = 1.0
ENTRIES_PER_SLICE = 2_000
"""Those of one commit: others have their turn behind it."""

NOTHING = (0, 0)

T = TypeVar("T")
_log = Logger()


class TailIndexer:
    """Writes the entries of messages that were written, and the sums of archives.

    Where this process alone writes to the database, which is SQLite, a message waits in the tail
    until many are indexed together. What was not is found again at a start: up to the mark
    ``indexed_to`` all is indexed. Where others read, entries are written with their messages.

    Args:
        database: Has the tables.
        tail: Messages leave it when they are indexed.
        clock: The reactor's.

    Attributes:
        indexing_to: Up to this position all that was written before is indexed, or is about to be:
            entries of what is written later are written at once.
        lowest_unwritten: Says which position is the lowest that is not written yet.
    """

    def __init__(self, database: Database, tail: Tail, clock: IReactorTime) -> None:
        self.database = database
        self.tail = tail
        self.clock = clock
        self.is_late = database.alone
        self.indexing_to = 0 if self.is_late else MAX_POSITION
        self.lowest_unwritten: Callable[[], int | None] = _none
        self._waiting: list[Accepted] = []
        self._sums: dict[int, tuple[int, int]] = {}
        self._timer: IDelayedCall | None = None
        self._work: Deferred[None] | None = None
        self._has_stopped = self._is_failing = False

    def written(self, indexed: Iterable[Accepted], to_index: Sequence[Accepted]) -> None:
        """Note what was written.

        Args:
            indexed: With their entries.
            to_index: Without.
        """
        sums = self._sums
        for messages in (indexed, to_index):
            for message in messages:
                for archive in message.archives:
                    count, size = sums.get(archive, NOTHING)
                    sums[archive] = count + 1, size + len(message.wire)
        self._waiting += to_index
        self._index_when_due()

    def read_back(self, messages: Sequence[Accepted]) -> None:
        """Take messages that were written before this start; they were counted then."""
        self._waiting += messages
        self._index_when_due()

    def _index_when_due(self) -> None:
        if self._has_stopped or self._work is not None or self._is_failing:
            return
        many = max(len(self._waiting), len(self._sums)) >= INDEX_MESSAGES
        if many or (self.tail.is_full and self._waiting):
            self._start()
        elif self._waiting or self._sums:
            self._start_after(INDEX_S)

    def _start_after(self, delay_s: float) -> None:
        if self._timer is None and not self._has_stopped:
            self._timer = self.clock.callLater(delay_s, self._start)

    def _start(self) -> None:
        self._cancel()
        if self._work is None:
            self._is_failing = False
            self._work = Deferred.fromCoroutine(self._index())
            self._work.addCallbacks(self._has_ended, self._has_failed)

    def _has_ended(self, _: object) -> None:
        self._work = None
        self._index_when_due()

    def _has_failed(self, failure: Failure) -> None:
        self._work = None
        self._is_failing = True
        self._start_after(RETRY_S)
        if not failure.check(StoreError):  # which the store has logged
            _log.failure("messages in the archive are not indexed", failure)

    async def index(self) -> None:
        """Index all that was written until now, and write all sums.

        Raises:
            StoreError: The database cannot be written.
        """
        if self._work is not None:
            await self._work
        await self._index()

    def stop(self) -> None:
        """Index no more by itself."""
        self._has_stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    async def _index(self) -> None:
        mark = self._mark()
        messages = [each for each in self._waiting if each.position <= mark]
        self._waiting = [each for each in self._waiting if each.position > mark]
        self.indexing_to = max(self.indexing_to, mark)
        sums, self._sums = self._sums, {}
        try:
            for rows in _slices(entry_rows(messages)):
                await self.database.append(NewRows(entries, rows))
            if messages:
                await self.database.write(partial(set_mark, mark=INDEXED_TO, value=mark))
        except StoreError:
            self._waiting = messages + self._waiting
            self._add_sums(sums)
            raise
        self.tail.drop(messages)
        for few in _slices(list(sums.items())):
            await self.database.write(partial(add_sums, sums=few))

    def _mark(self) -> int:
        """The position up to which everything can be indexed."""
        last = max((each.position for each in self._waiting), default=0)
        lowest = self.lowest_unwritten()
        return last if lowest is None else min(last, lowest - 1)

    def _add_sums(self, sums: Mapping[int, tuple[int, int]]) -> None:
        for archive, (count, size) in sums.items():
            count_now, size_now = self._sums.get(archive, NOTHING)
            self._sums[archive] = count_now + count, size_now + size


def entry_rows(messages: Iterable[Accepted]) -> list[tuple[object, ...]]:
    """The rows of the entries of messages, in the order of their key: those of one archive go
    together.
    """
    rows: list[tuple[object, ...]] = []
    for each in messages:
        if each.sent:
            rows.append((each.sent, each.position, peer_of(each.to), each.flags | SENT))
        if each.received:
            rows.append((each.received, each.position, peer_of(each.sender), each.flags))
    rows.sort()
    return rows


def _slices(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), ENTRIES_PER_SLICE):
        yield rows[start : start + ENTRIES_PER_SLICE]


def _none() -> None:
    """None: all is written."""


__all__ = ["ENTRIES_PER_SLICE", "INDEX_MESSAGES", "INDEX_S", "TailIndexer", "entry_rows"]
