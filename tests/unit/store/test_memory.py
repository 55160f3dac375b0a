"""The store in memory keeps the contract."""

from tests.unit.store import contract, nodes_contract
from xmppd.testing.house import memory_store


class MemoryTests(contract.Contract):
    def setUp(self) -> None:
        self.store = memory_store()


class MemoryNodesTests(nodes_contract.NodesContract):
    def setUp(self) -> None:
        self.store = memory_store()
