"""The store in memory keeps the contract."""

from tests.unit.store import contract
from xmppd.store.memory import MemoryStore


class MemoryStoreTests(contract.Contract):
    def setUp(self) -> None:
        self.store = MemoryStore()
