"""A Redis in memory, as far as nodes use it, with all its faults: away, slow, emptied, rolled back.

What the scripts do is written again here in Python, so that the real RedisDirectory is played with.
"""

from collections.abc import Callable, Collection, Coroutine, Sequence
from copy import deepcopy
from random import Random
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from tests.simulation.simulated_time import DriftingClock, SimulatedTime
from xmppd.cluster.claims import ClaimBoard, Ownership
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.lease_board import (
    BoardAway,
    BoardState,
    GenerationFenced,
    LeaseBoard,
    NameTaken,
    NotOnBoard,
    Renewal,
)
from xmppd.cluster.memory_claim_board import MemoryClaimBoard, MemoryClaims
from xmppd.cluster.memory_lease_board import MemoryLeaseBoard, MemoryLeaseBoardState
from xmppd.cluster.node import Node, NodeId
from xmppd.cluster.redis_connection import Reply
from xmppd.cluster.redis_errors import RedisAway, RedisRefusal
from xmppd.cluster.redis_scripts import BIND, CLOSE, MOVE, REASSERT, RELEASE, ROUTES, SWEEP
from xmppd.cluster.script import Script

T = TypeVar("T")
ANSWERS_WITHIN_S = 1.0
"""Whoever waits for longer takes Redis for gone, and does not know what it has done."""

QUICK_S, SLOW_S = 0.02, 1.2
REFUSALS = (RedisRefusal, DirectoryAway, GenerationFenced, NameTaken, NotOnBoard)


class RedisState:
    """What is in it.

    Args:
        time: Its clock.

    Attributes:
        accounts: By key the places of an account's sessions, by resource.
        closed: Until when nobody may enter an account, by key.
        board: Who is in.
        claims: Who has what lives once.
        away: From which nodes, by name, it cannot be reached.
        slow_until: It takes its time until then.
        on_fenced: Called when a node is declared dead, with who has done it.
    """

    def __init__(self, time: SimulatedTime) -> None:
        self.time = time
        self.accounts: dict[str, dict[str, str]] = {}
        self.closed: dict[str, float] = {}
        self.board = MemoryLeaseBoardState(time.seconds)
        self.claims = MemoryClaims()
        self.away: set[str] = set()
        self.slow_until = 0.0
        self.on_fenced: Callable[[NodeId, NodeId], None] = lambda target, by: None
        self._kept: list[tuple[float, dict[str, dict[str, str]]]] = []

    # -- faults -----------------------------------------------------------------------------------

    def empty(self) -> None:
        """Begin anew with nothing, as after a restart without a file."""
        self.accounts.clear()
        self.closed.clear()
        self.board.empty()
        self.claims.empty()

    def keep(self) -> None:
        """Have a replica know what is here by now."""
        self._kept.append((self.time.now, deepcopy(self.accounts)))
        del self._kept[:-20]

    def fail_over(self, lost_s: float) -> None:
        """Have a replica take its place, which does not know what was written in the last seconds;
        nodes' records are seldom written, and are there.
        """
        before = [kept for at, kept in self._kept if at <= self.time.now - lost_s]
        self.accounts.clear()
        self.accounts.update(deepcopy(before[-1]) if before else {})
        self.board.fail_over()

    # -- scripts ----------------------------------------------------------------------------------

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """Do what a script does, in one step."""
        return SCRIPTS[script.digest](self, keys, arguments)

    def bind(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """BIND."""
        resource, id, conflict, most, above = arguments[:5]
        self._refuse_fenced(id)
        if self.closed.get(keys[1], 0.0) > self.time.now:
            return [b"closed"]
        self._forget_void(keys[0], arguments[5:])
        places = self.accounts.get(keys[0], {})
        if resource in places and conflict != "kick":
            return [b"taken", b"", _pairs(places)]
        if resource not in places and len(places) >= int(most):
            return [b"full", b"", _pairs(places)]
        serial, others = self._next_serial(places, above), _pairs(places)
        self.accounts.setdefault(keys[0], {})[resource] = f"{id}.{serial}"
        return [b"bound", serial.encode(), others]

    def release(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """RELEASE."""
        resource, place = arguments
        if self.accounts.get(keys[0], {}).get(resource) == place:
            self._take_out(keys[0], resource)
        return 0

    def move(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """MOVE."""
        resource, old, new, id = arguments
        self._refuse_fenced(id)
        places = self.accounts.get(keys[0], {})
        if places.get(resource) == old:
            places[resource] = new
        return int(places.get(resource) == new)

    def reassert(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """REASSERT."""
        resource, id, serial, rebuild, above = arguments[:5]
        self._refuse_fenced(id)
        self._forget_void(keys[0], arguments[5:])
        places = self.accounts.get(keys[0], {})
        held = places.get(resource)
        if held == f"{id}.{serial}":
            return [serial.encode(), None]
        if held is not None and _serial(held) > int(serial):
            return [None, held.encode()]
        if rebuild != "1":
            serial = self._next_serial(places, above)
        self.accounts.setdefault(keys[0], {})[resource] = f"{id}.{serial}"
        return [serial.encode(), None if held is None else held.encode()]

    def routes(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """ROUTES."""
        found: list[Reply] = []
        for index, key in enumerate(keys):
            if key in self.accounts:
                found += [index, [place.encode() for place in self.accounts[key].values()]]
        return found

    def close(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """CLOSE."""
        self.closed[keys[1]] = self.time.now + int(arguments[0])
        return _pairs(self.accounts.get(keys[0], {}))

    def sweep(self, keys: Sequence[str], arguments: Sequence[str]) -> Reply:
        """SWEEP, in one page."""
        _, _, prefix, id = arguments
        words = [
            (key.removeprefix(prefix), resource, place)
            for key, places in self.accounts.items()
            for resource, place in places.items()
            if place.rpartition(".")[0] == id
        ]
        return [b"0", [word.encode() for three in words for word in three]]

    def _take_out(self, key: str, resource: str) -> None:
        del self.accounts[key][resource]
        if not self.accounts[key]:
            del self.accounts[key]

    def _forget_void(self, key: str, void: Sequence[str]) -> None:
        for resource, place in zip(void[::2], void[1::2], strict=True):
            if self.accounts.get(key, {}).get(resource) == place:
                self._take_out(key, resource)

    def _next_serial(self, places: dict[str, str], above: str) -> str:
        serials = [_serial(place) + 1 for place in places.values()]
        return str(max(int(self.time.now * 1_000_000) + 1, int(above) + 1, *serials))

    def _refuse_fenced(self, id: str) -> None:
        if NodeId.parse(id) in self.board.gone:
            raise RedisRefusal("FENCED", "this generation is")


Does = Callable[[RedisState, Sequence[str], Sequence[str]], Reply]
SCRIPTS: dict[str, Does] = {
    BIND.digest: RedisState.bind,
    RELEASE.digest: RedisState.release,
    MOVE.digest: RedisState.move,
    REASSERT.digest: RedisState.reassert,
    ROUTES.digest: RedisState.routes,
    CLOSE.digest: RedisState.close,
    SWEEP.digest: RedisState.sweep,
}
"""What is done for each script, by its digest."""


class WayToRedis:
    """One node's way there: what it asks is under way for a while, and so is the answer.

    What is asked at the same time goes by several connections: one may overtake another.

    Args:
        state: What is there.
        node: The node's name.
        clock: Its clock.
        random: Decides how long each way takes.

    Attributes:
        is_quick: Whether nothing is waited for.
    """

    def __init__(self, state: RedisState, node: str, clock: DriftingClock, random: Random) -> None:
        self.is_quick = False
        self.state = state
        self.node = node
        self.clock = clock
        self.random = random

    @property
    def away(self) -> bool:
        """Whether nothing comes there, or back."""
        return self.node in self.state.away

    async def ask(self, work: Callable[[], T]) -> T:
        """Have something done there.

        Raises:
            RedisAway: No answer came in time; it may have been done all the same.
        """
        answer: Deferred[tuple[T | None, Exception | None]] = Deferred()
        if self.away:
            raise RedisAway("no answer")
        if self.is_quick:
            return work()
        time, longest_s = self.state.time, QUICK_S
        if time.now < self.state.slow_until:
            longest_s = SLOW_S
        time.after(self.random.random() * longest_s, self._arrive, work, answer, longest_s)
        late = self.clock.callLater(ANSWERS_WITHIN_S, self._give_up, answer)
        result, error = await answer
        if late.active():
            late.cancel()
        if error is not None:
            raise error
        return result  # type: ignore[return-value]  # there is one or the other

    def _arrive(self, work: Callable[[], T], answer: Deferred[object], longest_s: float) -> None:
        if self.away:
            return
        try:
            result: tuple[T | None, Exception | None] = work(), None
        except REFUSALS as error:
            result = None, error
        wait_s = self.random.random() * longest_s
        self.state.time.after(wait_s, self.clock.happen, self._answer, answer, result)

    def _answer(self, answer: Deferred[object], result: object) -> None:
        if not (answer.called or self.away):
            answer.callback(result)

    def _give_up(self, answer: Deferred[object]) -> None:
        if not answer.called:
            answer.callback((None, RedisAway("no answer", tried=True)))


class SimulatedRedis:
    """What a RedisDirectory asks: the part of :class:`~xmppd.cluster.redis.Redis` that it uses.

    Attributes:
        servers: There is one.
    """

    servers = (None,)

    def __init__(self, way: WayToRedis) -> None:
        self.way = way

    def shard_of(self, account: str) -> int:
        """The one server."""
        return 0

    async def call(
        self, script: Script, keys: Sequence[str], *arguments: str | int, shard: int = 0
    ) -> Reply:
        """Run a script."""
        words = [str(each) for each in arguments]
        return await self.way.ask(lambda: self.way.state.run(script, tuple(keys), words))

    async def execute(self, command: str, key: str, *, shard: int = 0) -> Reply:
        """Run HGETALL; nothing else is asked."""
        assert command == "HGETALL"
        return await self.way.ask(lambda: _pairs(self.way.state.accounts.get(key, {})))


class SimulatedLeaseBoard(LeaseBoard):
    """A node's way to the board on which all nodes are written."""

    def __init__(self, way: WayToRedis) -> None:
        self.way = way
        self._board = MemoryLeaseBoard(way.state.board)

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            return await self.way.ask(work)
        except RedisAway as error:
            raise BoardAway(str(error)) from None

    async def join(
        self,
        node: Node,
        lease_s: float,
        *,
        again: bool = False,
        fenced: Collection[NodeId] = (),
    ) -> tuple[NodeId, Renewal]:
        """Write a node on it."""
        return await self._ask(
            lambda: _at_once(self._board.join(node, lease_s, again=again, fenced=fenced))
        )

    async def renew(self, id: NodeId, lease_s: float) -> Renewal:
        """Renew a lease."""
        return await self._ask(lambda: _at_once(self._board.renew(id, lease_s)))

    async def fence(self, target: NodeId, by: NodeId, era: str) -> bool:
        """Declare a node dead."""
        return await self._ask(lambda: self._fence(target, by, era))

    def _fence(self, target: NodeId, by: NodeId, era: str) -> bool:
        fenced = _at_once(self._board.fence(target, by, era))
        if fenced:
            self.way.state.on_fenced(target, by)
        return fenced

    def is_of(self, era: str) -> bool:
        """Whether no other Redis has taken its place."""
        return self._board.is_of(era)

    async def leave(self, id: NodeId) -> None:
        """Take this node off."""
        await self._ask(lambda: _at_once(self._board.leave(id)))

    async def describe(self, node: Node) -> None:
        """Write another record."""
        await self._ask(lambda: _at_once(self._board.describe(node)))

    async def read(self, known: Collection[NodeId]) -> BoardState:
        """Read it."""
        return await self._ask(lambda: _at_once(self._board.read(known)))


class SimulatedClaimBoard(ClaimBoard):
    """A node's way to the board on which is written who has what."""

    def __init__(self, way: WayToRedis, board: MemoryClaimBoard) -> None:
        self.way = way
        self._board = board

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            return await self.way.ask(work)
        except RedisAway as error:
            raise DirectoryAway(str(error)) from None

    async def look(self, kind: str, name: str) -> NodeId | None:
        """Who has a thing."""
        return await self._ask(lambda: _at_once(self._board.look(kind, name)))

    async def own(self, kind: str, name: str, id: NodeId, above: int) -> Ownership:
        """Have a node get a thing."""
        return await self._ask(lambda: _at_once(self._board.own(kind, name, id, above)))

    async def own_again(self, kind: str, name: str, claim: Ownership) -> Ownership:
        """Say again who has it."""
        return await self._ask(lambda: _at_once(self._board.own_again(kind, name, claim)))

    async def hand_over(self, kind: str, name: str, claim: Ownership, to: NodeId | None) -> int:
        """Have another node get it."""
        return await self._ask(lambda: _at_once(self._board.hand_over(kind, name, claim, to)))

    async def void(self, *, remove: bool) -> int:
        """Count what is of nodes that are not in any more."""
        return await self._ask(lambda: _at_once(self._board.void(remove=remove)))


def _at_once(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


def _pairs(places: dict[str, str]) -> list[Reply]:
    return [word.encode() for pair in places.items() for word in pair]


def _serial(place: str) -> int:
    return int(place.rpartition(".")[2])
