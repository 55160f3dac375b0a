"""The board in memory keeps what every board promises."""

from twisted.internet.task import Clock

from tests.unit.cluster.lease_board_contract import LEASE_S, BoardCase, LeaseBoardContract
from xmppd.cluster.lease_board import BoardAway
from xmppd.cluster.memory_lease_board import MemoryLeaseBoard, MemoryLeaseBoardState
from xmppd.cluster.node import NodeId


class MemoryLeaseBoardTests(LeaseBoardContract, BoardCase):
    board: MemoryLeaseBoard

    def setUp(self) -> None:
        self.clock = Clock()
        self.state = MemoryLeaseBoardState(self.clock.seconds)
        self.board = MemoryLeaseBoard(self.state)

    async def let_lease_end(self, name: str) -> None:
        generation, _ = self.state.leases[name]
        self.state.leases[name] = (generation, self.clock.seconds())

    async def lose_all(self) -> None:
        self.state.empty()

    async def test_time(self) -> None:
        """A lease lasts as long as it says."""
        a = await self.join("a")
        self.clock.advance(LEASE_S - 0.1)
        self.assertEqual(self.state.lease_of("a"), a.generation)
        self.clock.advance(0.1)
        self.assertEqual(self.state.lease_of("a"), 0)

    async def test_away(self) -> None:
        """While it is away nothing happens there."""
        self.board.away = True
        await self.assertFailure_(self.board.renew(NodeId("a", 1), LEASE_S), BoardAway)
        await self.assertFailure_(self.join("a"), BoardAway)
        self.assertEqual(self.state.nodes, {})

    async def test_failed_over(self) -> None:
        """Another one in its place may lack what was written last: who is not there is told so."""
        a, b = await self.join("a"), await self.join("b")
        era = (await self.board.renew(a, LEASE_S)).era
        self.state.fail_over("b")
        self.assertNotEqual((await self.board.renew(a, LEASE_S)).era, era)
        self.assertEqual((await self.ids(b)).left, set())
