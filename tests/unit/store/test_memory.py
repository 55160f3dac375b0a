"""The store in memory keeps the contract."""

from tests.unit.store import contract
from xmppd.testing.house import memory_store


class MemoryTests(contract.Contract):
    def setUp(self) -> None:
        self.store = memory_store()
