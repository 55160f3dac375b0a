"""A store that takes its time, and a clock that goes turn by turn, for what happens meanwhile."""

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from xmppd.store.base import StoreError
from xmppd.store.memory import MemoryStore

SLOW = (
    "exists", "roster", "save_roster_items", "delete_roster_item", "store_offline",
    "offline_messages", "delete_offline", "last_presence", "save_last_presence", "hold_messages",
    "place_messages",
)  # fmt: skip
QUICK = (
    "credentials", "create_account", "set_keys", "add_key", "get_item", "get_items", "set_item",
    "device", "use_token", "add_token", "end_token", "save_sessions", "take_up_sessions",
    "reserve_name", "former_account",
)  # fmt: skip
EVERYTHING = {*SLOW, *QUICK}


def next_turn(clock: Clock) -> None:
    """One turn of the reactor: what is due, and not what that causes."""
    for call in [call for call in clock.calls if call.getTime() <= clock.seconds()]:
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)


class SlowStore(MemoryStore):
    """A store in memory that answers only when it is told to, in the order it was asked.

    Attributes:
        slow: Whether it takes its time; at first it does not.
        late: Whether it also does what it is asked only then, not at once.
        broken: Names of methods that fail; :data:`EVERYTHING` for all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slow = self.late = False
        self.broken: set[str] = set()
        self.waiting: list[Deferred[None]] = []

    async def answer(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        """Do the work now or later, and answer later."""
        if name in self.broken:
            raise StoreError("the disk is gone")
        if not self.slow or name in QUICK:
            return await work()
        turn: Deferred[None] = Deferred()
        self.waiting.append(turn)
        if self.late:
            await turn
            return await work()
        answer = await work()
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


def _slowly(name: str) -> Callable[..., Awaitable[Any]]:
    quick = getattr(MemoryStore, name)

    async def method(self: SlowStore, *args: Any, **kwargs: Any) -> Any:
        return await self.answer(name, lambda: quick(self, *args, **kwargs))

    return method


for _name in EVERYTHING:
    setattr(SlowStore, _name, _slowly(_name))
