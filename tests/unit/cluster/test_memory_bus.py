"""The bus in memory keeps what a bus promises."""

from twisted.internet.task import Clock
from typing_extensions import override

from tests.unit.cluster import bus_contract
from tests.unit.cluster.conversations import DOMAIN, message
from xmppd.cluster.conversations import BusSettings
from xmppd.cluster.memory_bus import MemoryBus
from xmppd.cluster.node import NodeId
from xmppd.testing.network import Network


class MemoryBusTests(bus_contract.MembershipContract):
    a: MemoryBus
    b: MemoryBus

    @override
    async def start(self) -> None:
        self.members = {}
        self.network = Network()
        clock, ends = Clock(), dict[NodeId, MemoryBus]()
        settings = BusSettings((DOMAIN,), acknowledge_after_s=0.0)
        self.a, self.b = (
            MemoryBus(
                bus_contract.PausableMembership(NodeId(name, 1), self.members),
                ends, self.network.later, clock, settings,
            )
            for name in ("a", "b")
        )  # fmt: skip

    @override
    async def cut(self) -> None:
        self.a.cut.add(self.b.id)
        self.b.cut.add(self.a.id)

    @override
    async def mend(self) -> None:
        self.a.mend(self.b.id)
        self.b.mend(self.a.id)

    @override
    async def until_settled(self) -> None:
        self.network.settle()

    async def test_before_anybody_takes(self) -> None:
        """What comes before the node can take it waits until then."""
        bus = MemoryBus(
            bus_contract.PausableMembership(NodeId("c", 1), self.members),
            self.a._ends, self.network.later, self.a.clock, BusSettings((DOMAIN,)),
        )  # fmt: skip
        self.a.tell(bus.id, message(1))
        self.network.settle()
        bus.take = self.at_b.take
        self.network.settle()
        self.assertEqual(self.at_b.names, ["1"])
