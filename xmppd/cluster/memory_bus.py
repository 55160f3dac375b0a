"""A bus in memory, for nodes that live in one process: those of tests."""

from collections import deque
from collections.abc import Awaitable, Callable
from itertools import count

from msgspec.msgpack import Decoder, Encoder
from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime
from typing_extensions import override

from xmppd.cluster.bus import Bus, Take, Unreachable
from xmppd.cluster.entries import Answered, AnyEntry, Asking, BusEntry
from xmppd.cluster.node import NodeId
from xmppd.stanza import Later

_encode, _decode = Encoder().encode, Decoder(AnyEntry).decode
Carry = Callable[..., None]
"""Calls a function with arguments later, behind all that it was given before."""


class MemoryBus(Bus):
    """One node's end of it; entries are packed and unpacked, as on a wire.

    Args:
        id: The node.
        ends: All ends of the bus, by node; this one joins them.
        carry: Takes what is under way.
        clock: Tells when an answer is late.
    """

    take: Take

    def __init__(
        self, id: NodeId, ends: dict[NodeId, "MemoryBus"], carry: Carry, clock: IReactorTime
    ) -> None:
        self.id = id
        self.clock = clock
        self._ends = ends
        self._carry = carry
        self._numbers = count(1)
        self._asked: dict[tuple[NodeId, int], defer.Deferred[Answered]] = {}
        self._unhandled: dict[NodeId, deque[BusEntry]] = {}
        ends[id] = self

    @override
    def tell(self, node: NodeId, entry: BusEntry) -> None:
        there = self._ends.get(node)
        if there is not None:
            self._unhandled.setdefault(node, deque()).append(entry)
            self._carry(there.arrive, self.id, _encode(entry))

    @override
    async def ask(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        if node not in self._ends:
            raise Unreachable(f"node {node} is not there")
        key = node, next(self._numbers)
        answer = self._asked[key] = defer.Deferred[Answered]()
        answer.addTimeout(within_s, self.clock)
        self.tell(node, Asking(key[1], entry))  # type: ignore[arg-type]  # one of them
        try:
            got = await answer
        except defer.TimeoutError as error:
            raise Unreachable(f"node {node} did not answer in {within_s:g} s") from error
        finally:
            del self._asked[key]
        if got.refusal:
            raise Unreachable(got.refusal)
        return got.entry

    @override
    def is_full(self, node: NodeId) -> bool:
        return False

    @override
    def room(self, node: NodeId) -> Later:
        return None

    @override
    def take_back(self, node: NodeId) -> list[BusEntry]:
        for key in [key for key in self._asked if key[0] == node]:
            self._asked[key].errback(Unreachable(f"node {node} is lost"))
        return list(self._unhandled.pop(node, ()))

    def arrive(self, sender: NodeId, data: bytes) -> None:
        """Take an entry of another node."""
        if self._ends.get(self.id) is not self:
            return  # this node was killed
        entry = _decode(data)
        if isinstance(entry, Answered):
            waiting = self._asked.get((sender, entry.number))
            if waiting is not None and not waiting.called:
                waiting.callback(entry)
            self._handled(sender)
            return
        asked = entry.entry if isinstance(entry, Asking) else entry
        work = defer.Deferred.fromCoroutine(self._take(sender, asked))
        if isinstance(entry, Asking):
            work.addCallbacks(
                lambda answer: self.tell(sender, Answered(entry.number, answer)),
                lambda failure: self.tell(
                    sender, Answered(entry.number, None, failure.getErrorMessage())
                ),
            )
        work.addBoth(lambda _: self._handled(sender))

    async def _take(self, sender: NodeId, entry: BusEntry) -> "AnyEntry | None":
        answer = self.take(sender, entry)
        return await answer if isinstance(answer, Awaitable) else answer  # type: ignore[return-value]

    def _handled(self, sender: NodeId) -> None:
        there = self._ends.get(sender)
        if there is not None:
            there.acknowledged(self.id)

    def acknowledged(self, node: NodeId) -> None:
        """Note that another node has handled one more entry."""
        waiting = self._unhandled.get(node)
        if waiting:
            waiting.popleft()


__all__ = ["MemoryBus"]
