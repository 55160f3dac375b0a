"""A node's way to the database that all share: each call takes its time."""

from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from sqlalchemy import Connection, Select
from twisted.internet.defer import Deferred
from typing_extensions import override

from tests.simulation.simulated_time import DriftingClock, SimulatedTime
from xmppd.store.database import Columns, Database, NewRows, Parameters, T, no_check
from xmppd.store.errors import StoreError
from xmppd.store.limits import CALL_LIMIT_S
from xmppd.store.memory import MemoryDatabase


class LateDatabase(Database):
    """Passes calls on, after a while; the answer takes another one. Calls overtake each other.

    Args:
        database: That of all nodes.
        time: The true one.
        process: The node's clock, by which answers come.
        random: Decides how long each way takes.
        longest_s: The most that one takes; 0 if nothing is to be waited for.

    Attributes:
        on_write: Called when something is written.
    """

    alone = False
    shared = True

    def __init__(
        self,
        database: MemoryDatabase,
        time: SimulatedTime,
        process: DriftingClock,
        random: Random,
        longest_s: float,
    ) -> None:
        self._database = database
        self._time = time
        self._process = process
        self._random = random
        self.longest_s = longest_s
        self.on_write: Callable[[], None] = _nothing

    @override
    async def open(self, upgrade: bool, may_create: bool = True) -> None:
        """Do nothing, since it is there."""

    @override
    async def read(
        self, query: Select[*Columns], parameters: Parameters
    ) -> Sequence[tuple[*Columns]]:
        await self._way_there()
        rows = await self._database.read(query, parameters)
        await self._way_back()
        return rows

    @override
    async def write(self, change: Callable[[Connection], T], limit_s: float = CALL_LIMIT_S) -> T:
        await self._way_there()
        result: T | None = None
        failed: StoreError | None = None
        try:
            result = await self._database.write(partial(self._noted, change), limit_s)
        except StoreError as error:
            failed = error
        await self._way_back()
        if failed is not None:
            raise failed
        return result  # type: ignore[return-value]  # there is one or the other

    @override
    async def append(
        self,
        *parts: NewRows,
        check: Callable[[], None] = no_check,
        limit_s: float = CALL_LIMIT_S,
    ) -> None:
        await self._way_there()
        await self._database.append(*parts, check=check, limit_s=limit_s)
        self.on_write()
        await self._way_back()

    def _noted(self, change: Callable[[Connection], T], connection: Connection) -> T:
        result = change(connection)
        self.on_write()
        return result

    @override
    def free_bytes(self) -> float:
        return self._database.free_bytes()

    @override
    async def close(self) -> None:
        """Do nothing, since it stays there."""

    async def _way_there(self) -> None:
        """What is sent arrives, whatever becomes of its sender."""
        if self.longest_s:
            there = Deferred[None]()
            self._time.after(self._random.random() * self.longest_s, there.callback, None)
            await there

    async def _way_back(self) -> None:
        if self.longest_s:
            back = Deferred[None]()
            self._time.after(
                self._random.random() * self.longest_s, self._process.happen, back.callback, None
            )
            await back


def _nothing(*_: Any) -> None:
    """Do nothing."""
