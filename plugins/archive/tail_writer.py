"""TailWriter: writes accepted messages to the database, many at a time."""

from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from xmppd.host.clocks import UNKNOWN
from xmppd.stanza import Later
from xmppd.store.database import NewRows
from xmppd.store.errors import StoreError
from xmppd.store.limits import in_time
from xmppd.store.sql import Connection, Database, digest

from .tables import archives, begin_before, entries, note_archives, stanzas
from .tail import Accepted, Tail
from .tail_indexer import TailIndexer, entry_rows

MAX_MESSAGES_PER_FLUSH = 2_000
"""With so many a flush does not wait any longer."""

MIN_GAP_S = 0.05
"""The time between two flushes that somebody waits for: what others send meanwhile goes along, and
most recipients acknowledge theirs, which need not be held then.
"""

RETRY_S = 1.0
ROOM_S = 10.0
"""The time for which a sender waits for room."""

NO_ROOM = "The archive has more to write than the database can take."
MAX_KNOWN_ARCHIVES = 100_000
MAX_BEGUN = 10_000
"""Archives that began a moment ago: of these an earlier message may be on its way."""

_log = Logger()


class Batch:
    """Messages that are written together.

    Attributes:
        messages: These.
        late: Those among them whose stanza has been written before, for another archive.
        owners: Archives that the database may not know, with the names of their owners, and the
            positions with which they begin.
        senders: Bare JIDs of those who may ask whether they are written.
        waiting: Who has asked.
    """

    def __init__(self) -> None:
        self.messages: list[Accepted] = []
        self.late: list[Accepted] = []
        self.owners: dict[int, tuple[str, int]] = {}
        self.senders: set[str] = set()
        self.waiting: list[Deferred[None]] = []

    def __len__(self) -> int:
        return len(self.messages) + len(self.late)

    def add(self, more: "Batch") -> None:
        """Add all of another batch, which is later than this one."""
        for message in more.messages:
            message.batch = self
        self.messages += more.messages
        self.late += more.late
        for archive, (owner, position) in more.owners.items():
            self.note_owner(archive, owner, position)
        self.senders |= more.senders
        self.waiting += more.waiting

    def note_owner(self, archive: int, owner: str, position: int) -> None:
        """Note that an archive begins here, or before."""
        known = self.owners.get(archive)
        if known is None or position < known[1]:
            self.owners[archive] = owner, position

    def owner_rows(self) -> list[tuple[object, ...]]:
        """The rows of archives."""
        return [
            (number, digest(owner), owner, begins, 0, 0)
            for number, (owner, begins) in self.owners.items()
        ]

    def stanza_rows(self) -> list[tuple[object, ...]]:
        """The rows of stanzas: of messages that are in an archive still."""
        return [
            (each.position, each.sent, each.received, each.wire)
            for each in self.messages
            if each.sent or each.received
        ]

    def note(self, connection: Connection) -> None:
        """Note with archives that they begin here if not before, whoever has entered them; and with
        stanzas in which other archives they are.
        """
        begin_before(connection, [(number, begins) for number, (_, begins) in self.owners.items()])
        note_archives(
            connection,
            [(each.position, each.sent) for each in self.late if each.sent],
            [(each.position, each.received) for each in self.late if each.received],
        )


class TailWriter:
    """Writes the tail to the database, and says when it has been written.

    A flush takes all that was accepted since the last one. It comes when there is enough for one,
    after some time, or when somebody waits for it; never two at a time, so that what is slow to
    write gathers.

    Args:
        database: Has the tables.
        tail: What is accepted.
        indexer: Writes entries that are not written at once.
        clock: The reactor's.

    Attributes:
        flush_s: The time after which a message is written.
    """

    def __init__(
        self, database: Database, tail: Tail, indexer: TailIndexer, clock: IReactorTime
    ) -> None:
        self.database = database
        self.tail = tail
        self.indexer = indexer
        self.clock = clock
        self.flush_s = 0.1
        self._batch = Batch()
        self._under_way: Batch | None = None
        self._flushed: list[Deferred[None]] = []
        self._timer: IDelayedCall | None = None
        self._has_stopped = False
        self._began = UNKNOWN
        self._known: set[int] = set()
        self._begun: dict[int, int] = {}
        self._no_room: dict[Deferred[None], None] = {}  # in the order in which they came
        tail.on_dropped = self._give_room
        indexer.lowest_unwritten = self._lowest

    def join(self, message: Accepted, archive: int, owner: str, sender: str) -> None:
        """Take a message into an archive.

        Args:
            message: It may be in another archive already.
            archive: The number of this one, which is noted in the message.
            owner: Bare JID.
            sender: Bare JID of who is told when it is written.
        """
        batch = self._batch
        if archive not in self._known or message.position < self._begun.get(archive, 0):
            batch.note_owner(archive, owner, message.position)
        batch.senders.add(sender)
        if message.batch is batch:
            self.tail.add_to(archive, message)
            return
        if message.batch is None:
            message.batch = batch
            batch.messages.append(message)
        else:
            message = message.taken_apart(archive)
            batch.late.append(message)
        self.tail.add(message)
        if len(batch) >= MAX_MESSAGES_PER_FLUSH:
            self._flush_after(0)
        elif len(batch) == 1:
            self._flush_after(self.flush_s)

    def secure(self, sender: str) -> Later:
        """Wait until all is written that somebody has sent; None if it is.

        Raises:
            StoreError: It could not be; it is tried again.
        """
        for batch in (self._batch, self._under_way):
            if batch is not None and sender in batch.senders:
                done = Deferred[None]()
                batch.waiting.append(done)
                if batch is self._batch:
                    self._flush_after(self._began + MIN_GAP_S - self.clock.seconds())
                return _wait(done)
        return None

    async def room(self) -> None:
        """Wait until the tail is not full any more.

        Raises:
            StoreError: It is not in time.
        """
        while self.tail.is_full:
            room = Deferred[None]()
            self._no_room[room] = None
            try:
                await in_time(room, self.clock, ROOM_S)
            finally:
                self._no_room.pop(room, None)

    def _give_room(self) -> None:
        if not self.tail.is_full:
            waiting, self._no_room = self._no_room, {}
            for room in waiting:
                if not room.called:
                    room.callback(None)

    async def flush(self) -> None:
        """Write all that was accepted until now.

        Raises:
            StoreError: It could not be written.
        """
        while self._under_way is not None:
            done = Deferred[None]()
            self._flushed.append(done)
            await done
        if len(self._batch):
            done = Deferred()
            self._batch.waiting.append(done)
            self._flush_after(0)
            await done

    def stop(self) -> None:
        """Flush no more by itself."""
        self._has_stopped = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def forget(self, archive: int) -> None:
        """Forget an archive whose owner is gone."""
        self._begun.pop(archive, None)
        self.tail.forget(archive)
        self._known.discard(archive)
        self._batch.owners.pop(archive, None)

    # -- flushing ---------------------------------------------------------------------------------

    def _flush_after(self, delay_s: float) -> None:
        if self._under_way is not None:
            return  # looked at again behind that
        if delay_s <= 0:
            self._cancel()
            Deferred.fromCoroutine(self._flush()).addErrback(_failed)
        elif self._has_stopped:
            return
        elif self._timer is None or self._timer.getTime() > self.clock.seconds() + delay_s:
            self._cancel()
            self._timer = self.clock.callLater(delay_s, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._flush_after(0)

    async def _flush(self) -> None:
        batch, self._batch = self._batch, Batch()
        self._under_way, self._began = batch, self.clock.seconds()
        at_once = self._indexed_at_once(batch)
        failure: Failure | None = None
        try:
            await self.database.append(
                NewRows(archives, batch.owner_rows(), often_there=True),
                NewRows(stanzas, batch.stanza_rows()),
                NewRows(entries, entry_rows(at_once)),
            )
            if batch.late or batch.owners:
                await self.database.write(batch.note)
        except StoreError:
            failure = Failure()
            batch.waiting, waiting = [], batch.waiting
            batch.add(self._batch)
            self._batch = batch
            self._under_way = None
        else:
            waiting, self._under_way = batch.waiting, None
            self._has_written(batch, at_once)
        for done in waiting:
            if failure is None:
                done.callback(None)
            else:
                done.errback(failure)
        flushed, self._flushed = self._flushed, []
        for done in flushed:
            done.callback(None)
        self._go_on(failed=failure is not None)

    def _go_on(self, *, failed: bool) -> None:
        batch = self._batch
        if not len(batch) or self._under_way is not None:
            return
        if failed:
            self._flush_after(RETRY_S)
        elif len(batch) >= MAX_MESSAGES_PER_FLUSH:
            self._flush_after(0)
        elif batch.waiting:
            self._flush_after(self._began + MIN_GAP_S - self.clock.seconds())
        else:
            self._flush_after(self.flush_s)

    def _indexed_at_once(self, batch: Batch) -> list[Accepted]:
        """The messages whose entries are written with them."""
        indexing_to = self.indexer.indexing_to
        return [each for each in batch.messages if each.position <= indexing_to] + batch.late

    def _has_written(self, batch: Batch, at_once: Sequence[Accepted]) -> None:
        if len(self._known) + len(batch.owners) > MAX_KNOWN_ARCHIVES:
            self._known.clear()
        for archive, (_, begins) in batch.owners.items():
            self._known.add(archive)
            self._begun[archive] = begins
        while len(self._begun) > MAX_BEGUN:
            del self._begun[next(iter(self._begun))]
        found = set(at_once)
        self.indexer.written(at_once, [each for each in batch.messages if each not in found])
        self.tail.drop(at_once)

    def _lowest(self) -> int | None:
        """The lowest position that is not written; None if all is."""
        batches = [self._batch] if self._under_way is None else [self._batch, self._under_way]
        positions = [each.position for batch in batches for each in batch.messages]
        return min(positions, default=None)


async def _wait(done: Deferred[None]) -> None:
    await done


def _failed(failure: Failure) -> None:
    _log.failure("messages were not written to the archive", failure)


__all__ = ["MAX_MESSAGES_PER_FLUSH", "MIN_GAP_S", "NO_ROOM", "ROOM_S", "Batch", "TailWriter"]
