"""A board in memory, for nodes that live in one process: those of tests."""

from collections.abc import Callable, Collection
from itertools import count

from msgspec.structs import replace
from typing_extensions import override

from xmppd.cluster.lease_board import (
    BoardAway,
    BoardState,
    GenerationFenced,
    LeaseBoard,
    NameTaken,
    NotOnBoard,
    Renewal,
)
from xmppd.cluster.node import Node, NodeId

ITSELF = "itself"
LEFT = "left"


class MemoryLeaseBoardState:
    """What all nodes see of a board in memory.

    Args:
        seconds: The board's own clock.

    Attributes:
        epoch: Another one each time that it was emptied.
        run: Another one each time that another has taken its place.
        nodes: The records, by name.
        leases: Until when each lasts, by name.
        gone: By whom a node was fenced, or that it has left.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.seconds = seconds
        self.run = 1
        self._epochs = count(1)
        self.empty()

    def empty(self) -> None:
        """Lose everything, as a Redis does that was started anew without its file."""
        self.epoch = next(self._epochs)
        self.version = 0
        self.nodes: dict[str, Node] = {}
        self.generations: dict[str, int] = {}
        self.leases: dict[str, tuple[int, float]] = {}
        self.gone: dict[NodeId, str] = {}

    def fail_over(self, *lost: str) -> None:
        """Have another take its place, to which these nodes' records were not written."""
        self.run += 1
        for name in lost:
            self.nodes.pop(name, None)
            self.leases.pop(name, None)

    @property
    def era(self) -> str:
        """What a renewal says of it."""
        return f"{self.epoch}.{self.run}"

    def lease_of(self, name: str) -> int:
        """The generation of a name that holds its lease; 0 if none does."""
        generation, until = self.leases.get(name, (0, 0.0))
        return generation if until > self.seconds() else 0

    def fence(self, id: NodeId, by: str) -> None:
        """Note that a generation is gone, and by whom, unless that is known."""
        self.gone.setdefault(id, by)
        record = self.nodes.get(id.name)
        if record is not None and record.id == id:
            del self.nodes[id.name]
            self.leases.pop(id.name, None)

    @property
    def late(self) -> frozenset[str]:
        """The names of nodes whose lease has run out."""
        return frozenset(name for name in self.nodes if not self.lease_of(name))


class MemoryLeaseBoard(LeaseBoard):
    """One node's way to the board.

    Args:
        state: Shared by all nodes.

    Attributes:
        away: Whether it does not answer this node.
    """

    def __init__(self, state: MemoryLeaseBoardState) -> None:
        self.state = state
        self.away = False

    @override
    def is_of(self, era: str) -> bool:
        return self.away or era.partition(".")[2] == str(self.state.run)

    @override
    async def join(
        self,
        node: Node,
        lease_s: float,
        *,
        again: bool = False,
        fenced: Collection[NodeId] = (),
    ) -> tuple[NodeId, Renewal]:
        state = self._reached()
        for dead in fenced:
            state.fence(dead, str(node.id))
        name = node.id.name
        before = state.nodes.get(name)
        if again:
            self._check_alive(node.id)
        elif before is not None:
            if state.lease_of(name) and before.instance != node.instance:
                raise NameTaken(f"a node {before.id} is alive")
            state.fence(before.id, ITSELF)
        last = max(state.generations.get(name, 0), node.id.generation)
        id = node.id if again else NodeId(name, last + 1)
        state.generations[name] = max(last, id.generation)
        numbers = {each.number for each in state.nodes.values() if each.id.name != name}
        number = next(number for number in count() if number not in numbers)
        state.nodes[name] = replace(node, id=id, number=number)
        state.leases[name] = (id.generation, state.seconds() + lease_s)
        state.version += 1
        return id, self._renewal()

    @override
    async def renew(self, id: NodeId, lease_s: float) -> Renewal:
        state = self._reached()
        self._check_alive(id)
        if id.name not in state.nodes:
            raise NotOnBoard(f"there is no node {id}")
        state.leases[id.name] = (id.generation, state.seconds() + lease_s)
        return self._renewal()

    @override
    async def fence(self, target: NodeId, by: NodeId, era: str) -> bool:
        state = self._reached()
        if era != state.era or state.lease_of(by.name) != by.generation:
            return False
        if state.lease_of(target.name) == target.generation or target in state.gone:
            return False
        state.fence(target, str(by))
        state.version += 1
        return True

    @override
    async def leave(self, id: NodeId) -> None:
        state = self._reached()
        state.fence(id, LEFT)
        state.version += 1

    @override
    async def describe(self, node: Node) -> None:
        state = self._reached()
        self._check_alive(node.id)
        before = state.nodes.get(node.id.name)
        if before is None:
            raise NotOnBoard(f"there is no node {node.id}")
        state.nodes[node.id.name] = replace(node, number=before.number)
        state.version += 1

    @override
    async def read(self, known: Collection[NodeId]) -> BoardState:
        state = self._reached()
        gone = {id: state.gone[id] for id in known if id in state.gone}
        return BoardState(
            tuple(state.nodes.values()),
            frozenset(id for id, by in gone.items() if by != LEFT),
            frozenset(id for id, by in gone.items() if by == LEFT),
        )

    def _check_alive(self, id: NodeId) -> None:
        state = self.state
        record = state.nodes.get(id.name)
        if id in state.gone or (record is not None and record.id != id):
            raise GenerationFenced(f"node {id} is fenced")

    def _reached(self) -> MemoryLeaseBoardState:
        if self.away:
            raise BoardAway("no answer")
        return self.state

    def _renewal(self) -> Renewal:
        return Renewal(self.state.era, self.state.version, self.state.late)


__all__ = ["MemoryLeaseBoard", "MemoryLeaseBoardState"]
