"""What claims promise to nodes that share them, whatever the board is."""

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.trial.unittest import TestCase

from xmppd.cluster.bus import LocalBus, Unreachable
from xmppd.cluster.claims import ClaimBoard, Claims, Owned, Ownership
from xmppd.cluster.directory import DirectoryAway
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.things import TakeUp
from xmppd.cluster.membership import NodeFenced, NodeLost
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.node import Node, NodeId
from xmppd.stanza import Later

A, B, C = IDS = tuple(NodeId(name, 1) for name in "abc")
KIND = "book"
ODD = ("a b", "x:y\r\n", "é" * 3_000, "", "!", "1.1.1")


class Shelf(Owned):
    """Things of one kind at one node, and what happened to them.

    Attributes:
        here: Their tokens.
        told: What was called.
        broken: Names of what cannot be taken up.
    """

    kind = KIND

    def __init__(self) -> None:
        self.here: dict[str, int] = {}
        self.told: list[tuple[object, ...]] = []
        self.broken: set[str] = set()

    async def take_up(self, name: str, token: int, state: bytes | None) -> None:
        if name in self.broken:
            raise ZeroDivisionError
        self.here[name] = token
        self.told.append(("take up", name, state))

    async def lay_down(self, name: str) -> bytes:
        del self.here[name]
        self.told.append(("lay down", name))
        return name.encode()

    def lost(self, name: str) -> None:
        del self.here[name]
        self.told.append(("lost", name))

    def absent(self, node: Node) -> None:
        self.told.append(("absent", node.id))


class Hall(LocalBus):
    """Asks another node at once.

    Attributes:
        deaf: Nodes that answer nobody.
    """

    def __init__(self, id: NodeId, claims: dict[NodeId, Claims], deaf: set[NodeId]) -> None:
        self.id = id
        self.claims = claims
        self.deaf = deaf

    async def ask(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        if node in self.deaf:
            raise Unreachable("it is deaf")
        assert isinstance(entry, TakeUp)
        try:
            return await self.claims[node].asked_to_take_up(self.id, entry)
        except ZeroDivisionError as error:
            raise Unreachable("it failed") from error


class ClaimsCase(TestCase):
    """Has three nodes, each with things on a shelf."""

    def meet(self) -> None:
        """Begin anew."""
        self.nodes: dict[str, Node] = {}
        self.deaf: set[NodeId] = set()
        self.members = {id: MemoryMembership(id, self.nodes) for id in IDS}
        self.claims: dict[NodeId, Claims] = {}
        self.take_out: dict[NodeId, Callable[[], Later]] = {}
        self.shelves = {id: Shelf() for id in IDS}

    def begin(self, id: NodeId, board: ClaimBoard) -> None:
        """Have a node take up things."""
        claims = Claims(board, self.members[id], Hall(id, self.claims, self.deaf))
        self.take_out[id] = claims.put(self.shelves[id], "xmppd")
        self.claims[id] = claims

    async def owner(self, asker: NodeId, name: str) -> NodeId:
        """Who has a thing, says this one."""
        owner = self.claims[asker].owner(KIND, name)
        return await owner if isinstance(owner, Awaitable) else owner

    def having(self, name: str) -> list[NodeId]:
        """The nodes that serve a thing."""
        return [id for id, shelf in self.shelves.items() if name in shelf.here]


class ClaimsContract:
    """Mixed into a ClaimsCase, which brings a board."""

    async def lose(self, node: NodeId) -> None:
        """Have a node be fenced, and all others hear of it."""
        raise NotImplementedError

    async def lose_all(self) -> None:
        """Have the board lose everything that was written of things."""
        raise NotImplementedError

    @property
    def case(self) -> ClaimsCase:
        """This, as what it is mixed into."""
        assert isinstance(self, ClaimsCase)
        return self

    async def test_one_owner(self) -> None:
        """A thing has one owner, whoever asks, and however many ask at once (O1)."""
        test = self.case
        asked = [Deferred.fromCoroutine(test.owner(id, "hall")) for id in IDS * 5]
        owners = set(await gatherResults(asked))
        self.case.assertEqual(len(owners), 1)
        test.assertEqual(test.having("hall"), list(owners))
        for id in IDS:
            mine = test.claims[id].mine(KIND, "hall")
            test.assertEqual(mine is not None, id in owners)
            test.assertIn(test.claims[id].owner(KIND, "hall"), owners)

    async def test_by_lot(self) -> None:
        """Things are spread over all nodes by lot, not by who asks for them."""
        test = self.case
        owners = [await test.owner(A, f"thing{n}") for n in range(60)]
        for id in IDS:
            test.assertGreater(owners.count(id), 8)
        test.assertEqual(owners, [await test.owner(B, f"thing{n}") for n in range(60)])

    async def test_any_name(self) -> None:
        """A thing may have any name."""
        test = self.case
        for name in ODD:
            owner = await test.owner(A, name)
            test.assertEqual(await test.owner(C, name), owner)
            test.assertEqual(test.having(name), [owner])

    async def test_not_here(self) -> None:
        """A node that does not know the kind, or drains, gets nothing."""
        test = self.case
        test.members[A].describe(draining=True)
        owners = {await test.owner(id, f"{id.name}{n}") for id in IDS for n in range(20)}
        test.assertEqual(owners, {B, C})
        test.claims[B]._parts.clear()
        owners = {await test.owner(id, f"more{id.name}{n}") for id in IDS for n in range(20)}
        test.assertEqual(owners, {C})

    async def test_cannot_be_taken_up(self) -> None:
        """Where a thing cannot be taken up it is not; the next one has it, or nobody."""
        test = self.case
        first = await test.owner(A, "hall")
        await test.claims[first].give_up(KIND, "hall")
        for id in IDS:
            test.shelves[id].broken = {"hall", "tower"}
        try:
            await test.owner(A, "tower")
        except (DirectoryAway, ZeroDivisionError):
            pass
        else:
            test.fail("it was taken up")
        test.assertEqual(test.having("tower"), [])
        for id in IDS:
            test.shelves[id].broken.clear()
        test.assertEqual(test.having("tower") or [await test.owner(A, "tower")],
                         test.having("tower"))  # fmt: skip

    async def test_deaf(self) -> None:
        """A node that does not answer gets nothing."""
        test = self.case
        test.deaf |= {B, C}
        for n in range(10):
            test.assertEqual(await test.owner(A, str(n)), A)

    async def test_lost(self) -> None:
        """What a lost node had goes to another one with a higher token, when it is asked for; all
        are told that it is lost (O2, O5).
        """
        test = self.case
        names = [f"thing{n}" for n in range(30)]
        before = {name: await test.owner(A, name) for name in names}
        tokens = {name: test.shelves[B].here[name] for name in names if before[name] == B}
        await self.lose(B)
        test.shelves[B].here.clear()
        for name in names:
            owner = await test.owner(C, name)
            test.assertEqual(test.having(name), [owner])
            if before[name] == B:
                test.assertGreater(test.shelves[owner].here[name], tokens[name])
            else:
                test.assertEqual(owner, before[name])
        for id in (A, C):
            test.assertIn(("absent", B), test.shelves[id].told)

    async def test_fenced(self) -> None:
        """A node that is fenced forgets what it had, and has nothing from that moment."""
        test = self.case
        name = await self.one_of(B)
        test.assertIsNotNone(test.claims[B].mine(KIND, name))
        await self.lose(B)
        test.assertIsNone(test.claims[B].mine(KIND, name))
        test.claims[B].fenced(NodeFenced(B))
        test.assertEqual(test.shelves[B].told[-1], ("lost", name))
        test.assertEqual(list(test.claims[B].all_mine()), [])
        try:
            await test.owner(B, f"{name} again")
        except DirectoryAway:
            return
        test.assertNotIn(B, test.having(f"{name} again"))

    async def one_of(self, owner: NodeId) -> str:
        """The name of a thing that this node has."""
        for n in range(100):
            if await self.case.owner(A, f"thing{n}") == owner:
                return f"thing{n}"
        raise AssertionError(f"{owner} gets nothing")

    async def test_given_up(self) -> None:
        """A thing moves with what must not be forgotten, under a higher token."""
        test = self.case
        name = await self.one_of(A)
        token = test.shelves[A].here[name]
        await test.claims[A].give_up(KIND, name, B)
        test.assertEqual(test.having(name), [B])
        test.assertEqual(test.shelves[B].told[-1], ("take up", name, name.encode()))
        test.assertGreater(test.shelves[B].here[name], token)
        test.assertEqual(await test.owner(A, name), B)
        await test.claims[B].give_up(KIND, name)
        (owner,) = test.having(name)
        test.assertNotEqual(owner, B)
        test.claims[A].forget(KIND, name)
        test.assertEqual(await test.owner(A, name), owner)
        await test.claims[B].give_up(KIND, name)
        test.assertEqual(test.having(name), [owner])

    async def test_given_up_to_the_deaf(self) -> None:
        """A thing given to who does not answer is taken up there when it is asked for."""
        test = self.case
        name = await self.one_of(A)
        test.deaf.add(B)
        await test.claims[A].give_up(KIND, name, B)
        test.deaf.clear()
        test.assertEqual(test.having(name), [])
        test.assertEqual(await test.owner(A, name), B)
        test.assertEqual(await test.owner(B, name), B)
        test.assertEqual(test.having(name), [B])

    async def test_stops(self) -> None:
        """A node that stops gives everything away."""
        test = self.case
        names = [f"thing{n}" for n in range(20)]
        for name in names:
            await test.owner(A, name)
        test.members[A].describe(draining=True)
        await test.claims[A].give_up_all()
        test.assertEqual(test.shelves[A].here, {})
        for name in names:
            test.assertEqual(len(test.having(name)), 1)
        owners = {await test.owner(B, f"more{n}") for n in range(20)}
        test.assertEqual(owners, {B, C})

    async def test_kinds(self) -> None:
        """What is given up goes to a node that takes its kind; where there is none it stays."""
        test = self.case
        names = [f"thing{n}" for n in range(20)]
        for name in names:
            await test.owner(A, name)
        await (test.take_out[B]() or succeed(None))
        test.assertEqual(test.shelves[B].here, {})
        test.members[A].describe(draining=True)
        await test.claims[A].give_up_all()
        test.assertEqual([test.having(name) for name in names], [[C]] * 20)
        await test.claims[C].give_up_all()
        test.assertEqual([test.having(name) for name in names], [[C]] * 20)

    async def test_balance(self) -> None:
        """Things that others would get go to these, and come to rest there (O6)."""
        test = self.case
        names = [f"thing{n}" for n in range(40)]
        test.members[B].describe(draining=True)
        test.members[C].describe(draining=True)
        for name in names:
            test.assertEqual(await test.owner(A, name), A)
        for id in (B, C):
            test.members[id].describe(draining=False)
        moved = await test.claims[A].balance()
        test.assertEqual(moved, 40 - len(test.shelves[A].here))
        test.assertGreater(moved, 16)
        where = [test.having(name) for name in names]
        for id in IDS:
            test.assertEqual(await test.claims[id].balance(), 0)
        test.assertEqual([test.having(name) for name in names], where)
        test.assertTrue(all(len(owners) == 1 for owners in where))

    async def test_broken_while_it_moves(self) -> None:
        """A thing that cannot be laid down does not keep others from moving."""
        test = self.case
        names = [f"thing{n}" for n in range(20)]
        for name in names:
            await test.owner(A, name)
        del test.shelves[A].here[next(iter(test.shelves[A].here))]
        test.members[A].describe(draining=True)
        await test.claims[A].give_up_all()
        test.assertEqual(test.shelves[A].here, {})
        flushed: list[object] = test.flushLoggedErrors(KeyError)
        test.assertEqual(len(flushed), 1)

    async def test_over(self) -> None:
        """A thing for which there is nothing more to do is nobody's."""
        test = self.case
        name = await self.one_of(A)
        token = test.shelves[A].here.pop(name)
        await test.claims[A].end(KIND, name)
        await test.claims[A].end(KIND, name)
        test.assertIsNone(test.claims[A].mine(KIND, name))
        test.claims[B].forget(KIND, name)
        owner = await test.owner(B, name)
        test.assertGreater(test.shelves[owner].here[name], token)

    async def test_differing(self) -> None:
        """What the board has otherwise is counted, and said again; it may have a later owner."""
        test = self.case
        names = [await self.one_of(A), await self.one_of(B)]
        test.assertEqual(await test.claims[A].differing(repair=True), 0)
        mine = len(list(test.claims[A].all_mine()))
        await self.lose_all()
        test.assertEqual(await test.claims[A].differing(repair=False), mine)
        test.assertEqual(await test.claims[A].differing(repair=True), mine)
        test.assertEqual(await test.claims[A].differing(repair=False), 0)
        test.assertIn(names[0], test.shelves[A].here)

    async def test_void(self) -> None:
        """What is noted of a node that is gone is counted, and taken out; tokens go on rising."""
        test = self.case
        names = [f"thing{n}" for n in range(30)]
        before = {name: await test.owner(A, name) for name in names}
        tokens = {name: test.shelves[before[name]].here[name] for name in names}
        test.assertEqual(await test.claims[A].void(remove=True), 0)
        await self.lose(B)
        test.shelves[B].here.clear()
        there = [owner for owner in before.values() if owner == B]
        test.assertEqual(await test.claims[A].void(remove=False), len(there))
        test.assertEqual(await test.claims[A].void(remove=True), len(there))
        test.assertEqual(await test.claims[C].void(remove=True), 0)
        for name in names:
            owner = await test.owner(C, name)
            if before[name] == B:
                test.assertGreater(test.shelves[owner].here[name], tokens[name])

    async def test_board_lost_all(self) -> None:
        """When the board has lost everything all stays where it is, and of two owners the later one
        does; until all have said what they have nobody gets anything (O1).
        """
        test = self.case
        name = await self.one_of(A)
        await self.lose_all()
        for members in test.members.values():
            members.complete = False
        try:
            await test.owner(B, f"{name} new")
        except DirectoryAway:
            pass
        else:
            test.fail("the node of it is unknown")
        for claims in test.claims.values():
            await claims.assert_all()
        for members in test.members.values():
            members.complete = True
        test.assertEqual(await test.owner(C, name), A)
        new = await test.owner(C, f"{name} new")
        test.assertGreater(test.shelves[new].here[f"{name} new"], test.shelves[A].here[name])
        later = Ownership(B, test.shelves[A].here[name] + 10)
        await test.claims[B]._board.own_again(KIND, name, later)
        await test.claims[A].assert_all()
        test.assertEqual(test.shelves[A].told[-1], ("lost", name))
        test.claims[C].forget(KIND, name)
        test.assertEqual(await test.owner(C, name), B)

    async def test_tokens_of_the_store(self) -> None:
        """A token is above all that the store has seen (O2)."""
        test = self.case

        async def highest(kind: str, name: str) -> int:
            return 1_000 if (kind, name) == (KIND, "hall") else 0

        for claims in test.claims.values():
            claims.highest_token = highest
        owner = await test.owner(A, "hall")
        test.assertGreater(test.shelves[owner].here["hall"], 1_000)

    def test_one_part(self) -> None:
        """A kind is one part's; taking that out loses what is here."""
        test = self.case
        test.assertRaises(ValueError, test.claims[A].put, Shelf(), "xmppd")


def tell_lost(case: ClaimsCase, node: NodeId) -> None:
    """Have all others hear that a node is lost."""
    record = case.nodes.pop(node.name)
    for id, claims in case.claims.items():
        if id != node:
            claims.node_lost(NodeLost(record))


__all__ = ["IDS", "ClaimsCase", "ClaimsContract", "tell_lost"]
