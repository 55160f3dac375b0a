"""ReadingKeeper: keeps readings in the store, so that graphs go on when the server has ended."""

from collections import deque
from collections.abc import Iterator, Sequence

from msgspec import MsgspecError, json
from msgspec.structs import replace
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from xmppd.cluster.membership import Membership
from xmppd.console.history import LONG_STEP_S, SPANS, ReadingHistory
from xmppd.console.readings import Readings
from xmppd.host.clocks import Clocks
from xmppd.store.errors import StoreError
from xmppd.store.readings import KeptReading, ReadingStore

KEPT_S = SPANS["week"].seconds
"""What is older is not shown; a node that is gone for so long is forgotten."""

LOST_S = LONG_STEP_S
"""A process that is killed has written all but what was counted since so long."""

LAST_STEP_S = 60.0
"""A stop writes what was counted since the last time if that is so long ago: so many short lives
do not fill the ring.
"""

MAX_UNWRITTEN = 12
"""Readings that wait until they can be written: those of an hour."""

_decoder = json.Decoder(Readings)
_log = Logger()


class ReadingKeeper:
    """Writes a reading every five minutes, and has those of earlier lives back.

    While the database fails, which the store logs, the graphs go on in memory; the next reading is
    written when it works again.

    Args:
        store: Keeps them.
        history: Has them in memory.
        membership: This node and the others.
        clocks: Tell the time of day.
    """

    def __init__(
        self,
        store: ReadingStore,
        history: ReadingHistory,
        membership: Membership,
        clocks: Clocks,
    ) -> None:
        self._store = store
        self._history = history
        self._membership = membership
        self._clocks = clocks
        self._number = 0
        self._is_restored = False
        self._since: float | None = None
        self._unwritten: deque[Readings] = deque(maxlen=MAX_UNWRITTEN)
        self._work: Deferred[None] = succeed(None)

    def keep(self, reading: Readings) -> None:
        """Write a reading; the first one of this life is written with the next one."""
        is_first = self._since is None
        if is_first:
            self._since = reading.at
        self._unwritten.append(reading)
        if self._work.called:
            self._work = Deferred.fromCoroutine(self._begin() if is_first else self._write())
            self._work.addErrback(lambda failure: _log.failure("no reading was kept", failure))

    async def keep_last(self) -> None:
        """Write what was counted since the last time, since the server stops."""
        await self._work
        last, since = self._history.last, self._since
        if last is not None and since is not None and last.at - since >= LAST_STEP_S:
            self._unwritten.append(last)
            await self._write()

    async def _write(self) -> None:
        if not await self._restore():
            return
        waiting = tuple(self._unwritten)
        kept = (self._kept(number, each) for number, each in enumerate(waiting, self._number))
        try:
            await self._store.save(self._node, *kept)
        except StoreError:
            return
        self._number += len(waiting)
        self._since = waiting[-1].at
        later = (each for each in self._unwritten if each.at > waiting[-1].at)
        self._unwritten = deque(later, maxlen=MAX_UNWRITTEN)

    def _kept(self, number: int, reading: Readings) -> KeptReading:
        stamp = self._clocks.stamp(reading.at)
        return KeptReading(number, stamp, json.encode(reading).decode())

    @property
    def _node(self) -> str:
        return self._membership.id.name

    async def _begin(self) -> None:
        await self._restore()

    async def _restore(self) -> bool:
        """Have the readings of earlier lives back, and forget nodes that are gone; returns whether
        that is done.
        """
        if self._is_restored:
            return True
        present = {self._node, *self._membership.nodes}
        try:
            kept = await self._store.readings(self._node)
            await self._store.forget_gone(present, self._clocks.wall_clock() - KEPT_S)
        except StoreError:
            return False
        first = self._history.first
        self._history.restore(placed(kept, self._clocks, None if first is None else first.at))
        self._number = kept[-1].number + 1 if kept else 0
        self._is_restored = True
        return True


def placed(
    kept: Sequence[KeptReading], clocks: Clocks, until: float | None = None
) -> list[Readings]:
    """Readings at their places on the steady clock of this process, the oldest first.

    Within a life the steady clock of that process tells how far apart they are, and the newest one
    when that was: so it does no harm if the time of day was wrong and has been set since. Those
    that the clock puts behind later ones are left out, as are those of more than a week ago.

    Args:
        kept: The readings of a node, in their order.
        clocks: Tell the moment of a time of day.
        until: All are before this moment; before now, if it is not given.
    """
    now, today = clocks.seconds(), clocks.wall_clock()
    oldest, before = now - KEPT_S, now if until is None else until
    life, shift = "", 0.0
    found = []
    for stamp, reading in _newest_first(kept):
        if reading.life != life:
            life, shift = reading.life, now - (today - stamp) - reading.at
        at = reading.at + shift
        if oldest <= at < before:
            found.append(replace(reading, at=at))
            before = at
    return found[::-1]


def _newest_first(kept: Sequence[KeptReading]) -> Iterator[tuple[float, Readings]]:
    """Readings with their stamps; those of another version that cannot be read are left out."""
    for each in reversed(kept):
        try:
            yield each.at, _decoder.decode(each.counted)
        except (MsgspecError, ValueError):
            continue


__all__ = ["KEPT_S", "LAST_STEP_S", "LOST_S", "ReadingKeeper", "placed"]
