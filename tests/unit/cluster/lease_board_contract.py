"""What every LeaseBoard promises, in memory and in Redis alike."""

from twisted.trial.unittest import TestCase

from xmppd.cluster.lease_board import (
    BoardState,
    GenerationFenced,
    LeaseBoard,
    NameTaken,
    NotOnBoard,
)
from xmppd.cluster.node import Node, NodeId

LEASE_S = 5.0


def node(name: str, instance: str = "", generation: int = 0, **fields: object) -> Node:
    """A node that wants to join, from a data directory of its own."""
    return Node(id=NodeId(name, generation), instance=instance or name, **fields)  # type: ignore[arg-type]


class LeaseBoardContract:
    """Mixed into a TestCase, which brings the boards.

    Attributes:
        board: Empty at first.
    """

    board: LeaseBoard

    async def let_lease_end(self, name: str) -> None:
        """Have as much time gone by for this node's lease as it lasts."""
        raise NotImplementedError

    async def lose_all(self) -> None:
        """Have the board lose everything that is written there."""
        raise NotImplementedError

    async def join(self, name: str, **fields: object) -> NodeId:
        id, _ = await self.board.join(node(name, **fields), LEASE_S)  # type: ignore[arg-type]
        return id

    async def ids(self, *known: NodeId) -> BoardState:
        return await self.board.read(known)

    async def test_join(self) -> None:
        """Each has a number of its own, and what it says of itself can be read."""
        test = self.case
        first, began = await self.board.join(node("a", address="10.0.0.5:1"), LEASE_S)
        second, went_on = await self.board.join(node("b", kinds=("s2s",)), LEASE_S)
        test.assertEqual((first, second), (NodeId("a", 1), NodeId("b", 1)))
        test.assertEqual(began.era, went_on.era)
        test.assertNotEqual(began.version, went_on.version)
        record = await self.board.read(())
        found = {each.id.name: each for each in record.nodes}
        test.assertEqual({each.number for each in record.nodes}, {0, 1})
        test.assertEqual(found["a"].address, "10.0.0.5:1")
        test.assertEqual(found["b"].kinds, ("s2s",))

    async def test_number_is_free_again(self) -> None:
        """The lowest number that nobody has goes to the next one."""
        a = await self.join("a")
        await self.join("b")
        await self.board.leave(a)
        await self.join("c")
        numbers = {each.id.name: each.number for each in (await self.ids()).nodes}
        self.case.assertEqual(numbers, {"b": 1, "c": 0})

    async def test_renew(self) -> None:
        """A renewal that nothing has happened before says what the one before said."""
        test = self.case
        a, joined = await self.board.join(node("a"), LEASE_S)
        test.assertEqual(await self.board.renew(a, LEASE_S), joined)
        await self.join("b")
        renewal = await self.board.renew(a, LEASE_S)
        test.assertEqual(renewal.era, joined.era)
        test.assertNotEqual(renewal.version, joined.version)

    async def test_late(self) -> None:
        """Who has not renewed is named to those who have, and comes back by renewing."""
        test = self.case
        a, b = await self.join("a"), await self.join("b")
        await self.let_lease_end("b")
        test.assertEqual((await self.board.renew(a, LEASE_S)).late, {"b"})
        await self.board.renew(b, LEASE_S)
        test.assertEqual((await self.board.renew(a, LEASE_S)).late, set())

    async def test_fence(self) -> None:
        """Of two who fence a node one does, it cannot renew, and joins as another generation."""
        test = self.case
        a, b = await self.join("a"), await self.join("b")
        c = await self.join("c")
        await self.let_lease_end("b")
        era = (await self.board.renew(a, LEASE_S)).era
        await self.board.renew(c, LEASE_S)
        test.assertTrue(await self.board.fence(b, a, era))
        test.assertFalse(await self.board.fence(b, c, era))
        await test.assertFailure_(self.board.renew(b, LEASE_S), GenerationFenced)
        await test.assertFailure_(self.board.describe(node("b", generation=1)), GenerationFenced)
        record = await self.ids(a, b, c)
        test.assertEqual({each.id for each in record.nodes}, {a, c})
        test.assertEqual((record.fenced, record.left), ({b}, set()))
        again = await self.join("b")
        test.assertEqual(again, NodeId("b", 2))
        await test.assertFailure_(self.board.renew(b, LEASE_S), GenerationFenced)
        await self.board.renew(again, LEASE_S)

    async def test_not_fenced(self) -> None:
        """Nobody fences a node that lives, without a lease of their own, or for what was seen
        before the board lost its memory.
        """
        test = self.case
        a, b = await self.join("a"), await self.join("b")
        era = (await self.board.renew(a, LEASE_S)).era
        test.assertFalse(await self.board.fence(b, a, era))
        await self.let_lease_end("b")
        test.assertFalse(await self.board.fence(b, a, f"{era} of before"))
        await self.let_lease_end("a")
        test.assertFalse(await self.board.fence(b, a, era))
        await self.board.renew(b, LEASE_S)

    async def test_name_taken(self) -> None:
        """A living node's name is not given to another one; when its lease has run out it is, and
        the first one is fenced.
        """
        test = self.case
        a = await self.join("a")
        await test.assertFailure_(self.board.join(node("a", "elsewhere"), LEASE_S), NameTaken)
        await self.board.renew(a, LEASE_S)
        await self.let_lease_end("a")
        test.assertEqual(await self.join("a", instance="elsewhere"), NodeId("a", 2))
        await test.assertFailure_(self.board.renew(a, LEASE_S), GenerationFenced)
        test.assertEqual((await self.ids(a)).fenced, {a})

    async def test_own_successor(self) -> None:
        """A node that was killed and started again in its data directory need not wait."""
        test = self.case
        a = await self.join("a")
        test.assertEqual(await self.join("a"), NodeId("a", 2))
        test.assertEqual((await self.ids(a)).fenced, {a})
        await test.assertFailure_(self.board.renew(a, LEASE_S), GenerationFenced)

    async def test_leave(self) -> None:
        """Who leaves is no loss; that cannot be taken back, nor done for a later life."""
        test = self.case
        a, b = await self.join("a"), await self.join("b")
        before = (await self.board.renew(a, LEASE_S)).version
        await self.board.leave(b)
        test.assertNotEqual((await self.board.renew(a, LEASE_S)).version, before)
        record = await self.ids(b)
        test.assertEqual((record.fenced, record.left), (set(), {b}))
        await test.assertFailure_(self.board.renew(b, LEASE_S), GenerationFenced)
        again = await self.join("b")
        await self.board.leave(b)
        await self.board.renew(again, LEASE_S)

    async def test_describe(self) -> None:
        """A node may say something else of itself; its number stays."""
        test = self.case
        await self.join("z")
        a = await self.join("a")
        before = (await self.board.renew(a, LEASE_S)).version
        await self.board.describe(node("a", generation=1, draining=True))
        test.assertNotEqual((await self.board.renew(a, LEASE_S)).version, before)
        found = next(each for each in (await self.ids()).nodes if each.id == a)
        test.assertEqual((found.draining, found.number), (True, 1))

    async def test_all_is_lost(self) -> None:
        """Whose record is lost is told so, and comes back under the generation that it has."""
        test = self.case
        a = await self.join("a", instance="1")
        a = await self.join("a", instance="1")
        era = (await self.board.renew(a, LEASE_S)).era
        await self.lose_all()
        await test.assertFailure_(self.board.renew(a, LEASE_S), NotOnBoard)
        same, renewal = await self.board.join(node("a", "1", generation=2), LEASE_S, again=True)
        test.assertEqual(same, a)
        test.assertNotEqual(renewal.era, era)
        test.assertEqual(await self.board.renew(a, LEASE_S), renewal)
        test.assertEqual(await self.join("a", instance="1"), NodeId("a", 3))
        late = node("a", "1", generation=2)
        await test.assertFailure_(self.board.join(late, LEASE_S, again=True), GenerationFenced)

    async def test_lost_and_never_back(self) -> None:
        """A node that was on a board which lost everything can be fenced by who remembers it."""
        test = self.case
        await self.join("a")
        b = await self.join("b")
        await self.lose_all()
        a, renewal = await self.board.join(node("a", generation=1), LEASE_S, again=True)
        test.assertEqual((await self.ids(b)).fenced, set())
        test.assertTrue(await self.board.fence(b, a, renewal.era))
        test.assertEqual((await self.ids(b)).fenced, {b})
        late = node("b", generation=1)
        await test.assertFailure_(self.board.join(late, LEASE_S, again=True), GenerationFenced)

    async def test_fenced_before_all_was_lost(self) -> None:
        """Who was fenced before the board lost that stays so: the others remember it."""
        test = self.case
        a, b = await self.join("a"), await self.join("b")
        await self.lose_all()
        await self.board.join(node("b", generation=1), LEASE_S, again=True)
        await self.board.join(node("a", generation=1), LEASE_S, again=True, fenced=(b,))
        await test.assertFailure_(self.board.renew(b, LEASE_S), GenerationFenced)
        record = await self.ids(a, b)
        test.assertEqual({each.id for each in record.nodes}, {a})
        test.assertEqual(record.fenced, {b})

    async def test_generations_rise(self) -> None:
        """A node that remembers its last generation gets a higher one, whatever the board has
        lost.
        """
        await self.lose_all()
        self.case.assertEqual(await self.join("a", generation=7), NodeId("a", 8))
        self.case.assertEqual(await self.join("a"), NodeId("a", 9))

    @property
    def case(self) -> "BoardCase":
        """This, as what it is mixed into."""
        assert isinstance(self, BoardCase)
        return self


class BoardCase(TestCase):
    """A TestCase for coroutines."""

    async def assertFailure_(self, work: object, error: type[Exception]) -> None:
        """Fail unless it fails with this error."""
        try:
            await work  # type: ignore[misc]
        except error:
            return
        self.fail(f"{error.__name__} was not raised")
