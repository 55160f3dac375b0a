"""A store that takes its time, and a clock that goes turn by turn, for what happens meanwhile."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from xmppd.store.database import Database
from xmppd.store.errors import StoreError
from xmppd.store.held import HeldMessage, held
from xmppd.store.items import ItemStore
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store
from xmppd.testing.client import done

# By what is kept: what is slow, and what only fails.
SLOW = {
    "accounts": ("exists",),
    "rosters": ("roster", "save_roster_items", "delete_roster_item"),
    "offline": ("store_offline", "offline_messages", "delete_offline"),
    "presences": ("last_presence", "save_last_presence"),
    "sessions": ("hold_messages", "place_messages"),
}
QUICK = {
    "accounts": (
        "credentials", "create_account", "set_keys", "add_key",
    ),
    "former_accounts": ("reserve_name", "former_account"),
    "items": ("get_item", "get_items", "set_item"),
    "devices": ("device", "use_token", "add_token", "end_token"),
    "sessions": ("save_sessions", "take_up_sessions"),
}  # fmt: skip
EVERYTHING = {name for names in (*SLOW.values(), *QUICK.values()) for name in names}


def next_turn(clock: Clock) -> None:
    """One turn of the reactor: what is due, and not what that causes."""
    for call in [call for call in clock.calls if call.getTime() <= clock.seconds()]:
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)


class SlowStore(Store):
    """A store in memory that answers only when it is told to, in the order it was asked.

    Args:
        database: Instead of one of its own.
        pace: Another one, which says whether this one takes its time as well.
        items: Makes the small values that it keeps.

    Attributes:
        slow: Whether it takes its time; at first it does not.
        late: Whether it also does what it is asked only then, not at once.
        broken: Names of methods that fail; :data:`EVERYTHING` for all.
    """

    def __init__(
        self,
        database: MemoryDatabase | None = None,
        items: Callable[[Database], ItemStore] = ItemStore,
        pace: "SlowStore | None" = None,
    ) -> None:
        self._memory = MemoryDatabase() if database is None else database
        super().__init__(self._memory, Clock())
        self.items = items(self.database)
        self._pace = pace or self
        self.slow = self.late = False
        self.broken: set[str] = set()
        self.waiting: list[Deferred[None]] = []
        for methods, may_wait in ((SLOW, True), (QUICK, False)):
            for kept, names in methods.items():
                for name in names:
                    part = getattr(self, kept)
                    asked = partial(self._ask, name, getattr(part, name), may_wait)
                    setattr(part, name, asked)

    @property
    def written(self) -> Store:
        """What is written by now, for who does not want to wait."""
        return Store(self._memory, Clock())

    @property
    def held(self) -> list[HeldMessage]:
        """The messages that are held by now."""
        return done(self._memory.write(held))

    async def _ask(
        self,
        name: str,
        method: Callable[..., Awaitable[Any]],
        may_wait: bool,
        *args: Any,
        **more: Any,
    ) -> Any:
        """Do the work now or later, and answer later."""
        pace = self._pace
        if name in pace.broken:
            raise StoreError("the disk is gone")
        if not pace.slow or not may_wait:
            return await method(*args, **more)
        turn: Deferred[None] = Deferred()
        pace.waiting.append(turn)
        if pace.late:
            await turn
            return await method(*args, **more)
        answer = await method(*args, **more)
        await turn
        return answer

    def release(self, count: int = 1) -> None:
        """Answer the next of those that wait."""
        for _ in range(min(count, len(self.waiting))):
            self.waiting.pop(0).callback(None)

    def release_last(self) -> None:
        """Answer the last of them ahead of the others."""
        self.waiting.pop().callback(None)

    def fail(self) -> None:
        """Have the next of them fail."""
        self.waiting.pop(0).errback(StoreError("the disk is gone"))

    def release_all(self) -> None:
        """Answer until nobody asks any more."""
        while self.waiting:
            self.release()
