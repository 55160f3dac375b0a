"""Nodes: several houses that are one service, in memory.

::

    nodes = Nodes("a", "b", romeo={"juliet": "both"}, juliet={"romeo": "both"})
    (romeo,) = nodes["a"].connect("romeo")
    (juliet,) = nodes["b"].connect("juliet")
"""

from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock
from typing_extensions import override

from xmppd.cluster.claims import Claims
from xmppd.cluster.cluster import Cluster
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.directory import Directory
from xmppd.cluster.membership import NodeJoined, NodeLeft, NodeLost
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.memory_claim_board import MemoryClaimBoard, MemoryClaims
from xmppd.cluster.memory_directory import MemoryDirectory, MemoryDirectoryState
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.memory_tally import MemoryTally
from xmppd.cluster.node import Node, NodeId
from xmppd.config.config import Config
from xmppd.store.memory import MemoryDatabase
from xmppd.store.store import Store
from xmppd.testing.client import done
from xmppd.testing.house import House, house_config
from xmppd.testing.late_directory import LateDirectory
from xmppd.testing.network import Network


class NodeHouse(House):
    """One of several houses that are one service.

    Args:
        nodes: All of them.
        id: Its name, and the number of its life.
    """

    clock: "NodeClock"

    def __init__(self, nodes: "Nodes", id: NodeId) -> None:
        self.nodes = nodes
        self.id = id
        clock = NodeClock(nodes.clock)
        make = nodes.make_store
        store = Store(nodes.database, clock, self.wall_clock) if make is None else make()
        super().__init__(
            nodes.domain, config=nodes.config, plugins=nodes.plugins, store=store, clock=clock
        )

    @override
    def stop_and_wait(self) -> None:
        stopping = self.stop()
        while not stopping.called:
            self.nodes.settle()
            self.nodes.clock.advance(1)
        done(stopping)

    @override
    def join(self) -> Cluster:
        self.network = self.nodes.network
        return self.nodes.join(self.id)


class Nodes:
    """Several houses that are one service, on one store and with one clock.

    Args:
        names: Of the nodes.
        domain: That they serve.
        config: Instead of the default configuration.
        plugins: Names of the plugins that each of them loads.
        database: Instead of an empty one.
        make_store: Makes the store of each node, over one database, instead of one that is quick.
        late_directory: Whether what the directory is asked, and its answers, are under way for a
            while, as what nodes say to each other is.
        people: For each account the subscriptions in its roster.

    Attributes:
        houses: By name.
        directories: By name each node's view of a late directory; one may be made to be away.
    """

    def __init__(
        self,
        *names: str,
        domain: str = "montague.lit",
        config: Config | None = None,
        plugins: tuple[str, ...] = (),
        database: "SharedMemoryDatabase | None" = None,
        make_store: Callable[[], Store] | None = None,
        late_directory: bool = False,
        **people: Mapping[str, str],
    ) -> None:
        self.domain = domain
        self.late_directory = late_directory
        self.config = config or house_config(domain)
        self.plugins = plugins
        self.clock = Clock()
        self.database = database or SharedMemoryDatabase()
        self.make_store = make_store
        self.network = Network()
        self.directory = MemoryDirectoryState(self.clock.seconds)
        self.claims = MemoryClaims()
        self.tally = MemoryTally(self.clock.seconds)
        self.members: dict[str, Node] = {}
        self.ends: dict[NodeId, MemoryBus] = {}
        self.houses: dict[str, NodeHouse] = {}
        self.directories: dict[str, LateDirectory] = {}
        for name in names:
            self.start(name)
        for name, contacts in people.items():
            self[names[0]].add(name, contacts)

    def __getitem__(self, name: str) -> NodeHouse:
        return self.houses[name]

    def start(self, name: str) -> NodeHouse:
        """Start a node, or another life of it."""
        before = self.houses.get(name)
        generation = 1 if before is None else before.id.generation + 1
        others = [house for house in self.houses.values() if house.id in self.ends]
        house = self.houses[name] = NodeHouse(self, NodeId(name, generation))
        for other in others:
            other.server.events.fire(NodeJoined(self.members[name]))
        return house

    def stop(self, name: str) -> None:
        """Stop a node in an orderly way; the others hear that it has left."""
        house = self.houses[name]
        house.stop_and_wait()
        self._die(house)
        self.directory.fenced.add(house.id)
        self._tell_others(NodeLeft(self.members.pop(name)))

    def kill(self, name: str) -> None:
        """Have a node be gone from one moment to the next; the others have not noticed yet.

        Its clients are left as they are: nothing they do arrives anywhere.
        """
        self._die(self.houses[name])

    def _die(self, house: "NodeHouse") -> None:
        house.clock.stop()
        self.ends.pop(house.id, None)

    def lose(self, name: str) -> None:
        """Kill a node, if it was not killed before, and have all others hear that it is lost."""
        self.kill(name)
        self.directory.fenced.add(self.houses[name].id)
        self._tell_others(NodeLost(self.members.pop(name)))

    def _tell_others(self, event: NodeLost | NodeLeft) -> None:
        for house in self.houses.values():
            if house.id.name in self.members:
                house.server.events.fire(event)
        self.settle()

    def join(self, id: NodeId) -> Cluster:
        """What a node has of the others, as it joins."""
        membership = MemoryMembership(id, self.members)
        directory: Directory = MemoryDirectory(id, self.directory)
        if self.late_directory:
            directory = LateDirectory(directory, self.network.later)
            self.directories[id.name] = directory
        domains = tuple(domain.name for domain in self.config.domain)
        settings = BusSettings(domains, acknowledge_after_s=0.02 if self.late_directory else 0.0)
        bus = MemoryBus(membership, self.ends, self.network.later, self.clock, settings)
        claims = Claims(MemoryClaimBoard(self.claims, membership), membership, bus)
        return Cluster(membership, directory, bus, claims, self.tally)

    def settle(self) -> None:
        """Let all that is under way arrive."""
        self.network.settle()


class NodeClock(Clock):
    """A node's view of the one clock: what a killed node had still to do is not done."""

    def __init__(self, shared: Clock) -> None:
        super().__init__()
        self._shared = shared
        self._stopped = False

    def stop(self) -> None:
        """Do nothing any more."""
        self._stopped = True

    @override
    def seconds(self) -> float:
        return self._shared.seconds()

    @override
    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        return self._shared.callLater(delay, self._call, callable, args, kw)

    @override
    def advance(self, amount: float) -> None:
        self._shared.advance(amount)

    def _call(
        self, call: Callable[..., object], args: tuple[object, ...], kw: dict[str, object]
    ) -> None:
        if not self._stopped:
            call(*args, **kw)


def saving_config(domain: str = "montague.lit") -> Config:
    """The configuration of nodes that save their sessions when they are stopped, instead of handing
    them over to others.
    """
    return house_config(domain, cluster={"drain_s": 0.0})


class SharedMemoryDatabase(MemoryDatabase):
    """A database in memory that several servers use."""

    alone = False
    shared = True


__all__ = ["NodeClock", "NodeHouse", "Nodes", "saving_config"]
