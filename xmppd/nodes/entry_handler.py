"""EntryHandler: takes what other nodes send, in order, and hands it to whom it concerns."""

from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from xmppd.cluster.bus import Outcome
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.node import NodeId

E = TypeVar("E", bound=BusEntry)
Handle = Callable[[NodeId, E], Outcome]


class EntryHandler:
    """Hands each entry to the function of its kind.

    Entries about the same account or thing are handled one after the other, in the order in which
    they came from their node; others may overtake one that waits.
    """

    def __init__(self) -> None:
        self._handle: dict[type[BusEntry], Handle[Any]] = {}
        self._lines: dict[tuple[NodeId, str], Deferred[None]] = {}

    def put(self, kind: type[E], handle: Handle[E]) -> None:
        """Call this function with every entry of a kind.

        Raises:
            ValueError: Another one is called with these.
        """
        if kind in self._handle:
            raise ValueError(f"{kind.__name__} is handled already")
        self._handle[kind] = handle

    def take(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Handle an entry.

        Returns:
            The answer, or something to wait for that gives it.
        """
        if self._lines:
            key = sender, entry.about
            before = self._lines.get(key)
            if before is not None:
                return self._in_line(key, self._handle_behind(before, sender, entry))
        answer = self._handle[entry.__class__](sender, entry)
        if answer is not None and isinstance(answer, Awaitable) and entry.about:
            return self._in_line((sender, entry.about), answer)
        return answer

    async def handled(self, sender: NodeId, about: Collection[str]) -> None:
        """Wait until all that a node has sent before about some things, or about all, is handled.

        Args:
            sender: The node.
            about: The accounts or things; none if all are meant.
        """
        if about:
            lines = [self._lines.get((sender, each)) for each in about]
        else:
            lines = [done for (node, _), done in self._lines.items() if node == sender]
        for done in lines:
            if done is not None:
                await done

    def _in_line(
        self, key: tuple[NodeId, str], work: Awaitable[BusEntry | None]
    ) -> Awaitable[BusEntry | None]:
        """Have later entries about the same wait for this one."""
        done = self._lines[key] = Deferred[None]()
        return self._work_in_line(key, work, done)

    async def _work_in_line(
        self, key: tuple[NodeId, str], work: Awaitable[BusEntry | None], done: Deferred[None]
    ) -> BusEntry | None:
        try:
            return await work
        finally:
            if self._lines[key] is done:
                del self._lines[key]
            done.callback(None)

    async def _handle_behind(
        self, before: Deferred[None], sender: NodeId, entry: BusEntry
    ) -> BusEntry | None:
        await before
        answer = self._handle[entry.__class__](sender, entry)
        return await answer if isinstance(answer, Awaitable) else answer


__all__ = ["EntryHandler", "Handle"]
