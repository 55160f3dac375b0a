"""What every bus between nodes promises, whatever carries it."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from typing_extensions import override

from tests.unit.cluster.conversations import message, name, presence
from xmppd.cluster.bus import Outcome, Unreachable
from xmppd.cluster.conversations import Conversations
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.memory_membership import MemoryMembership
from xmppd.cluster.node import Node, NodeId

T = TypeVar("T")


class Taker:
    """Takes what comes to a node.

    Attributes:
        got: What came, with its sender.
        wait: Whether it is handled when :meth:`finish` is called only.
    """

    def __init__(self) -> None:
        self.got: list[tuple[NodeId, str]] = []
        self.wait = False
        self.answer: BusEntry | None = None
        self._waiting: list[Deferred[BusEntry | None]] = []

    def take(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Take an entry."""
        self.got.append((sender, name(entry)))
        if not self.wait:
            return self.answer
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def finish(self) -> None:
        """Handle all that waits."""
        self.wait = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(self.answer)

    @property
    def names(self) -> list[str]:
        """What came."""
        return [name for _, name in self.got]


class BusContract(TestCase):
    """Holds for every bus, and every way between two nodes, ``a`` and ``b``.

    Attributes:
        a: The bus at one node.
        b: The bus at the other.
        at_a: Takes what comes to the one.
        at_b: Takes what comes to the other.
    """

    timeout = 20
    a: Conversations
    b: Conversations

    async def start(self) -> None:
        """Make both, and connect them."""
        raise NotImplementedError

    async def cut(self) -> None:
        """Cut the way between them."""
        raise NotImplementedError

    async def mend(self) -> None:
        """Mend it."""
        raise NotImplementedError

    async def lose_b(self) -> None:
        """Have the other one fenced, as its membership says."""
        raise NotImplementedError

    async def pause_b(self) -> None:
        """Take the right to speak from the other one."""
        raise NotImplementedError

    async def let_b_speak(self) -> None:
        """Give it back."""
        raise NotImplementedError

    async def until_settled(self) -> None:
        """Wait until all that can arrive has arrived."""
        raise NotImplementedError

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.at_a, self.at_b = Taker(), Taker()
        await self.start()
        self.a.take, self.b.take = self.at_a.take, self.at_b.take
        self.a_id, self.b_id = self.a.membership.id, self.b.membership.id

    def in_time(self, work: Awaitable[T]) -> Deferred[T]:
        """Work under way."""

        async def go() -> T:
            return await work

        return Deferred.fromCoroutine(go())

    async def test_tell(self) -> None:
        """What one node tells another arrives in order, with its name; and the other way."""
        for id in range(100):
            self.a.tell(self.b_id, message(id))
        self.b.tell(self.a_id, message("back"))
        await self.until_settled()
        self.assertEqual(self.at_b.got, [(self.a_id, str(id)) for id in range(100)])
        self.assertEqual(self.at_a.got, [(self.b_id, "back")])

    async def test_large(self) -> None:
        """So does what is larger than a frame."""
        self.a.tell(self.b_id, message(1, bytes(3_000_000)))
        self.a.tell(self.b_id, message(2))
        await self.until_settled()
        self.assertEqual(self.at_b.names, ["1", "2"])

    async def test_ask(self) -> None:
        """A question is answered, at once or later."""
        self.at_b.answer = message("answer")
        self.assertEqual(
            await self.settled(self.a.ask(self.b_id, message("?"), 10)), message("answer")
        )
        self.at_b.wait = True
        asked = self.in_time(self.a.ask(self.b_id, message("?"), 10))
        await self.until_settled()
        self.assertFalse(asked.called)
        self.at_b.finish()
        self.assertEqual(await self.settled(asked), message("answer"))

    async def settled(self, work: Awaitable[T]) -> T:
        """What comes of some work when all has arrived."""
        under_way = self.in_time(work)
        await self.until_settled()
        return await under_way

    async def test_nobody(self) -> None:
        """To a node that is not in nothing is said, and it answers nothing."""
        nobody = NodeId("b", 99)
        self.a.tell(nobody, message(1))
        self.assertIsNone(self.a.room(nobody))
        self.assertEqual(self.a.take_back(nobody), [])
        asked = self.in_time(self.a.ask(nobody, message(1), 5))
        await self.assertFailure(asked, Unreachable)
        self.assertNotIn(nobody, self.a.states())

    async def test_cut(self) -> None:
        """What is said while the way is cut arrives when it is whole, once and in order; of
        presences the newest.
        """
        self.a.tell(self.b_id, message(1))
        await self.until_settled()
        await self.cut()
        for entry in (message(2), presence(3), presence(4), message(5)):
            self.a.tell(self.b_id, entry)
        await self.until_settled()
        self.assertEqual(self.at_b.names, ["1"])
        await self.mend()
        await self.until_settled()
        self.assertEqual([name for name in self.at_b.names if name != "3"], ["1", "2", "4", "5"])

    async def test_settled(self) -> None:
        """One may wait until all is handled that was told so far."""
        self.at_b.wait = True
        self.a.tell(self.b_id, message(1))
        settled = self.in_time(self.a.settled(self.b_id))
        await self.until_settled()
        self.assertFalse(settled.called)
        self.at_b.finish()
        await self.settled(settled)

    async def test_room(self) -> None:
        """When too much is under way one waits until it is handled."""
        self.at_b.wait = True
        while (room := self.a.room(self.b_id)) is None:
            self.a.tell(self.b_id, message("", bytes(1_000)))
        self.assertTrue(self.a.is_full(self.b_id))
        waiting = self.in_time(room)
        await self.until_settled()
        self.assertFalse(waiting.called)
        self.at_b.finish()
        await self.settled(waiting)
        self.assertFalse(self.a.is_full(self.b_id))

    async def test_take_back(self) -> None:
        """What a lost node has not handled is taken back, in order; and it is heard no more."""
        self.at_b.wait = True
        self.a.tell(self.b_id, message(1))
        await self.until_settled()
        await self.cut()
        self.a.tell(self.b_id, message(2))
        asked = self.in_time(self.a.ask(self.b_id, message("?"), 10))
        await self.lose_b()
        self.assertEqual([name(entry) for entry in self.a.take_back(self.b_id)], ["1", "2"])
        await self.assertFailure(asked, Unreachable)
        self.b.tell(self.a_id, message("late"))
        await self.mend()
        await self.until_settled()
        self.assertEqual(self.at_a.names, [])

    async def test_without_a_lease(self) -> None:
        """A node that may not speak handles nothing until it may again."""
        await self.pause_b()
        self.a.tell(self.b_id, message(1))
        await self.until_settled()
        self.assertEqual(self.at_b.names, [])
        await self.let_b_speak()
        self.b.go_on()
        await self.until_settled()
        self.assertEqual(self.at_b.names, ["1"])


class PausableMembership(MemoryMembership):
    """A membership whose lease a test takes away."""

    paused = False

    @property
    @override
    def speaks(self) -> bool:
        return super().speaks and not self.paused


class MembershipContract(BusContract):
    """The contract where both nodes have a membership in memory.

    Attributes:
        members: All nodes that are in, by name.
    """

    members: dict[str, Node]

    @override
    async def lose_b(self) -> None:
        del self.members["b"]

    @override
    async def pause_b(self) -> None:
        self.membership_of_b().paused = True

    @override
    async def let_b_speak(self) -> None:
        self.membership_of_b().paused = False

    def membership_of_b(self) -> PausableMembership:
        membership = self.b.membership
        assert isinstance(membership, PausableMembership)
        return membership
