"""Leases: when a node may act, when it is declared dead, and by whom."""

from collections.abc import Awaitable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.bus import Unreachable
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.entries.membership import LeaseRenewed, LeaseState, Renew
from xmppd.cluster.lease_board import NameTaken, Renewal
from xmppd.cluster.leases import MARGIN_S, LeasedMembership
from xmppd.cluster.membership import NodeFenced, NodeJoined, NodeLeft, NodeLost
from xmppd.cluster.memory_lease_board import MemoryLeaseBoard, MemoryLeaseBoardState
from xmppd.cluster.node import Node, NodeId
from xmppd.testing.client import done

LEASE_S = 5.0
T = TypeVar("T")


class Member:
    """A node with a clock of its own, which may be stopped.

    Attributes:
        events: What it was told.
        is_stopped: Its process does not run: its timers stand still, its boot clock goes on.
    """

    def __init__(self, world: "World", name: str, drift: float = 1.0, generation: int = 0) -> None:
        self.world = world
        self.clock = Clock()
        self.drift = drift
        self.boot_s = 1_000.0
        self.is_stopped = False
        self.events: list[object] = []
        self.board = MemoryLeaseBoard(world.state)
        node = Node(id=NodeId(name, generation), instance=name)
        self.membership = LeasedMembership(
            self.board, node, LEASE_S, self.clock, lambda: self.boot_s
        )

    @property
    def id(self) -> NodeId:
        return self.membership.id

    def join(self) -> "Member":
        done(self.membership.join())
        self.membership.listen(self.events.append)
        self.world.members.append(self)
        return self

    def gone(self) -> list[NodeId]:
        """The nodes that it was told are lost."""
        return [event.node.id for event in self.events if isinstance(event, NodeLost)]

    def turn(self, seconds: float) -> None:
        self.boot_s += seconds * self.drift
        if not self.is_stopped:
            self.clock.advance(seconds * self.drift)

    def wake(self) -> None:
        """Go on; timers that are overdue fire now."""
        self.is_stopped = False
        self.clock.advance(self.boot_s - 1_000.0 - self.clock.seconds())


class World:
    """Some nodes, the board, and the connections between them."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.state = MemoryLeaseBoardState(self.clock.seconds)
        self.members: list[Member] = []
        self.cut: set[frozenset[NodeId]] = set()

    def join(self, name: str, drift: float = 1.0, *, linked: bool = False) -> Member:
        member = Member(self, name, drift)
        if linked:
            member.membership.links = Links(self, member)
        return member.join()

    def pass_time(self, seconds: float, step_s: float = 0.1) -> None:
        """Let time go by, some of it at a time."""
        for _ in range(round(seconds / step_s)):
            self.clock.advance(step_s)
            for member in self.members:
                member.turn(step_s)

    def kill(self, member: Member) -> None:
        self.members.remove(member)

    def redis_away(self, *away: Member) -> None:
        for member in self.members:
            member.board.away = member in away


class Links:
    """The connections of one node; each is cut, or carries a question at once."""

    def __init__(self, world: World, member: Member) -> None:
        self.world = world
        self.member = member
        self.asked = 0

    def _other(self, node: NodeId) -> Member | None:
        return next((each for each in self.world.members if each.id == node), None)

    def linked(self, node: NodeId) -> bool:
        other = self._other(node)
        return other is not None and frozenset((node, self.member.id)) not in self.world.cut

    def dead(self, node: NodeId) -> bool:
        other = self._other(node)
        return not self.linked(node) or other is None or other.is_stopped

    def refuses(self, node: NodeId) -> bool:
        return self._other(node) is None

    async def ask_beside(self, node: NodeId, entry: BusEntry, within_s: float) -> BusEntry | None:
        other = self._other(node)
        if other is None or self.dead(node):
            raise Unreachable(f"node {node} is not running")
        assert isinstance(entry, Renew)
        self.asked += 1
        return await other.membership.renew_for(self.member.id, entry)


class LeaseCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def pair(self, *, linked: bool = False) -> tuple[Member, Member]:
        first = self.world.join("a", linked=linked)
        second = self.world.join("b", linked=linked)
        self.world.pass_time(2 * LEASE_S)
        return first, second

    def refused(self, work: Awaitable[T], error: type[Exception]) -> None:
        """Fail unless it fails with this."""

        async def wait() -> T:
            return await work

        self.failureResultOf(Deferred.fromCoroutine(wait()), error)


class MembershipTests(LeaseCase):
    """Who is in."""

    def test_join(self) -> None:
        """Who joins knows all others at once, and they know it a second later."""
        a = self.world.join("a")
        self.assertTrue(a.membership.speaks)
        b = self.world.join("b")
        self.assertEqual(b.membership.nodes["a"].id, a.id)
        self.assertEqual(b.events, [])
        self.world.pass_time(1.2)
        self.assertTrue(a.membership.is_in(b.id))
        self.assertEqual(
            [event.node.id for event in a.events if isinstance(event, NodeJoined)], [b.id]
        )

    def test_refresh(self) -> None:
        """Who has heard of a node that it does not know looks at once."""
        a = self.world.join("a")
        b = self.world.join("b")
        looked = [Deferred.fromCoroutine(a.membership.refresh()) for _ in range(3)]
        self.assertTrue(a.membership.is_in(b.id))
        for each in looked:
            self.assertTrue(self.successResultOf(each))

    def test_refresh_without_redis(self) -> None:
        """Who cannot look is told so, and knows no more than before."""
        a = self.world.join("a")
        b = self.world.join("b")
        self.world.redis_away(a)
        self.assertFalse(done(a.membership.refresh()))
        self.assertFalse(a.membership.is_in(b.id))
        self.world.redis_away()
        self.assertTrue(done(a.membership.refresh()))
        self.assertTrue(a.membership.is_in(b.id))

    def test_held(self) -> None:
        """What happens before anybody listens is told then."""
        a = Member(self.world, "a")
        done(a.membership.join())
        self.world.members.append(a)
        b = self.world.join("b")
        self.world.pass_time(1.2)
        a.membership.listen(a.events.append)
        self.assertEqual(a.events, [NodeJoined(a.membership.nodes["b"])])
        self.assertEqual(a.membership.nodes["b"].id, b.id)

    def test_leave(self) -> None:
        """Who leaves in order is not lost, and acts no more."""
        a, b = self.pair()
        done(b.membership.leave())
        self.assertFalse(b.membership.speaks)
        self.world.pass_time(10.0)
        self.assertEqual(
            a.events[-1:],
            [NodeLeft(Node(id=b.id, instance="b", number=1, entered=a.membership.era))],
        )
        self.assertEqual(a.gone(), [])
        self.assertEqual(b.events, [])

    def test_successor(self) -> None:
        """A node that is started again where it was killed is in at once, and its former life is
        lost a second later.
        """
        a, b = self.pair()
        self.world.kill(b)
        again = self.world.join("b")
        self.assertEqual(again.id, NodeId("b", 2))
        self.world.pass_time(1.2)
        self.assertEqual(a.gone(), [b.id])
        self.assertTrue(a.membership.is_in(again.id))
        self.assertIsInstance(a.events[-1], NodeJoined)

    def test_name_taken(self) -> None:
        """A name that is alive elsewhere is not taken."""
        self.pair()
        other = Member(self.world, "b")
        other.membership.node = Node(id=NodeId("b", 0), instance="elsewhere")
        self.refused(other.membership.join(), NameTaken)

    def test_describe(self) -> None:
        """What a node says of itself is known to the others a second later."""
        a, b = self.pair()
        b.membership.describe(draining=True)
        self.world.pass_time(1.2)
        self.assertTrue(a.membership.nodes["b"].draining)
        self.assertEqual((a.gone(), a.events[1:]), ([], []))


class LossTests(LeaseCase):
    """Who is declared dead, and when."""

    def test_killed(self) -> None:
        """A killed node is lost within its lease and 1.5 s, everywhere, and is fenced by one."""
        for linked in (False, True):
            with self.subTest(linked=linked):
                self.world = World()
                a, b = self.pair(linked=linked)
                c = self.world.join("c", linked=linked)
                self.world.pass_time(2 * LEASE_S)
                self.world.kill(b)
                self.world.pass_time(LEASE_S - 1.2)
                self.assertEqual((a.gone(), c.gone()), ([], []))
                self.world.pass_time(1.2 + 1.5)
                self.assertEqual((a.gone(), c.gone()), ([b.id], [b.id]))
                self.assertIn(self.world.state.gone[b.id], (str(a.id), str(c.id)))

    def test_link_lives(self) -> None:
        """Who is linked is not declared dead, whatever has become of its lease."""
        a, b = self.pair(linked=True)
        self.world.state.leases["b"] = (b.id.generation, 0.0)
        b.board.away = True
        b.membership.links = None  # it asks nobody
        self.world.pass_time(3 * LEASE_S)
        self.assertEqual(a.gone(), [])
        self.world.cut.add(frozenset((a.id, b.id)))
        self.world.pass_time(1.2)
        self.assertEqual(a.gone(), [b.id])

    def test_lease_lives(self) -> None:
        """Two that do not reach each other do not declare each other dead while Redis has both."""
        a, b = self.pair(linked=True)
        self.world.cut.add(frozenset((a.id, b.id)))
        self.world.pass_time(60.0)
        self.assertEqual((a.gone(), b.gone()), ([], []))

    def test_fencer_is_steady(self) -> None:
        """Who comes back from somewhere declares nobody dead before a whole lease has gone by."""
        a, b = self.pair()
        self.world.redis_away(a, b)
        self.world.pass_time(20.0)
        self.world.redis_away(b)
        self.world.pass_time(LEASE_S - 0.5)
        self.assertEqual(a.gone(), [])
        self.world.pass_time(2.0)
        self.assertEqual(a.gone(), [b.id])

    def test_paused(self) -> None:
        """A node that is stopped for a while is late, and no more; it does not act before its lease
        is renewed.
        """
        a, b = self.pair()
        heard = list[bool]()
        b.is_stopped = True
        self.world.pass_time(4.8)
        b.is_stopped = False
        self.assertFalse(b.membership.speaks)
        b.membership.voice().addCallback(lambda _: heard.append(b.membership.speaks))
        self.assertEqual(heard, [])
        b.wake()
        self.assertEqual(heard, [True])
        self.world.pass_time(20.0)
        self.assertEqual((a.gone(), b.events), ([], []))

    def test_paused_for_long(self) -> None:
        """A node that is stopped for too long is dead, and finds that out before it acts."""
        a, b = self.pair()
        b.is_stopped = True
        self.world.pass_time(60.0)
        self.assertEqual(a.gone(), [b.id])
        self.assertFalse(b.membership.speaks)
        voice = b.membership.voice()
        b.wake()
        self.assertNoResult(voice)
        self.assertFalse(b.membership.speaks)
        self.assertEqual(b.events, [NodeFenced(b.id)])
        self.assertTrue(b.membership.fenced)
        again = Member(self.world, "b").join()
        self.assertEqual(again.id, NodeId("b", 2))

    def test_dead_stays_dead(self) -> None:
        """A fenced node does nothing any more: it does not renew, and does not leave."""
        _, b = self.pair()
        b.is_stopped = True
        self.world.pass_time(60.0)
        b.wake()
        version = self.world.state.version
        done(b.membership.leave())
        done(b.membership.refresh())
        self.world.pass_time(10.0)
        self.assertEqual(self.world.state.version, version)
        self.assertEqual(b.events, [NodeFenced(b.id)])

    def test_never_two(self) -> None:
        """However clocks drift (within reason), and whoever is stopped when: nobody acts at a
        moment at which another node takes it for lost.
        """
        for drift in (0.93, 1.0, 1.07):
            for pause_s in (0.5, 3.9, 4.4, 4.9, 5.4, 5.9, 6.4, 7.5):
                with self.subTest(drift=drift, pause_s=pause_s):
                    self.world = World()
                    a = self.world.join("a")
                    b = self.world.join("b", drift)
                    self.world.pass_time(11.3)
                    b.is_stopped = True
                    self.world.pass_time(pause_s, 0.05)
                    b.wake()
                    for _ in range(200):
                        self.world.pass_time(0.05, 0.05)
                        self.assertFalse(b.membership.speaks and b.id in a.gone())


class SilenceTests(LeaseCase):
    """What a node does without a lease."""

    def setUp(self) -> None:
        super().setUp()
        self.calls: list[str] = []

    def watch(self, member: Member) -> None:
        member.membership.on_silence = lambda: self.calls.append("silence")
        member.membership.on_voice = (lambda: self.calls.append("voice"),)

    def test_lease_runs_out(self) -> None:
        """A node that Redis does not answer acts until its lease ends, less a margin, and not for
        a moment longer.
        """
        a, _ = self.pair()
        self.world.redis_away(a)
        self.world.pass_time(LEASE_S - MARGIN_S - 1.1, 0.01)
        self.assertTrue(a.membership.speaks)
        self.world.pass_time(1.1, 0.01)
        self.assertFalse(a.membership.speaks)
        self.assertTrue(a.membership.without_redis)

    def test_slow_answer(self) -> None:
        """A lease counts from the moment at which it was asked for, however late the answer is."""
        a, _ = self.pair()
        renew, answer = a.board.renew, Deferred[None]()

        async def renew_slowly(id: NodeId, lease_s: float) -> Renewal:
            renewal = await renew(id, lease_s)
            await answer
            return renewal

        self.patch(a.board, "renew", renew_slowly)
        while not a.membership._turn:
            self.world.pass_time(0.1)
        self.world.pass_time(2.0)
        answer.callback(None)
        a.board.away = True
        self.world.pass_time(LEASE_S - MARGIN_S - 2.0 - 0.2)
        self.assertTrue(a.membership.speaks)
        self.world.pass_time(0.4)
        self.assertFalse(a.membership.speaks)

    def test_silence(self) -> None:
        """Wires are closed once, when it has had no lease for too long; afterwards it goes on."""
        a, b = self.pair()
        a.membership.silence_s = 30.0
        self.watch(a)
        self.world.redis_away(a, b)
        self.world.pass_time(33.0)
        self.assertEqual(self.calls, [])
        self.world.pass_time(30.0)
        self.assertEqual(self.calls, ["silence"])
        self.world.redis_away()
        self.world.pass_time(1.2)
        self.assertEqual(self.calls, ["silence", "voice"])
        self.assertTrue(a.membership.speaks)
        self.assertEqual((a.gone(), b.gone()), ([], []))

    def test_never_met_another(self) -> None:
        """A node that has never known another one goes on without Redis."""
        a = self.world.join("a")
        self.world.redis_away(a)
        self.world.pass_time(60.0)
        self.assertTrue(a.membership.speaks)

    def test_has_met_another(self) -> None:
        """One that has cannot know whether another has come meanwhile."""
        a, b = self.pair()
        done(b.membership.leave())
        self.world.kill(b)
        self.world.pass_time(2.0)
        self.world.redis_away(a)
        self.world.pass_time(10.0)
        self.assertFalse(a.membership.speaks)


class WithoutRedisTests(LeaseCase):
    """With connections between nodes Redis may be away, for one or for all."""

    def three(self) -> tuple[Member, Member, Member]:
        a, b = self.pair(linked=True)
        c = self.world.join("c", linked=True)
        self.world.pass_time(2 * LEASE_S)
        return a, b, c

    def test_away_for_one(self) -> None:
        """Another node renews for the one that Redis does not answer: nobody is silent or lost."""
        members = a, b, c = self.three()
        self.world.redis_away(a)
        for _ in range(60):
            self.world.pass_time(1.0)
            self.assertTrue(all(member.membership.speaks for member in members))
        self.assertEqual((b.gone(), c.gone()), ([], []))

    def test_isolated(self) -> None:
        """A node for which only others renew is told so after some time, and when that is over; if
        Redis is away for all, nobody is.
        """
        a, b, c = self.three()
        told: list[bool] = []
        a.membership.on_isolation = told.append
        a.membership.isolation_s = 30.0
        self.world.redis_away(a)
        self.world.pass_time(29.0)
        self.assertEqual(told, [])
        self.world.pass_time(10.0)
        self.assertEqual(told, [True])
        self.world.redis_away()
        self.world.pass_time(2.2)
        self.assertEqual(told, [True, False])
        self.world.redis_away(a, b, c)
        self.world.pass_time(60.0)
        self.assertEqual(told, [True, False])

    def test_away_for_all(self) -> None:
        """All go on, since nobody can be declared dead; also when Redis comes back to one first."""
        members = a, b, c = self.three()
        self.world.redis_away(a, b, c)
        for _ in range(60):
            self.world.pass_time(1.0)
            self.assertTrue(all(member.membership.speaks for member in members))
        self.world.redis_away(a, b)
        for _ in range(20):
            self.world.pass_time(1.0)
            self.assertTrue(all(member.membership.speaks for member in members))
        self.assertEqual((a.gone(), b.gone(), c.gone()), ([], [], []))

    def test_cut_from_everything(self) -> None:
        """One that reaches neither Redis nor the others is silent before it is lost."""
        a, b, c = self.three()
        self.world.redis_away(a)
        self.world.cut |= {frozenset((a.id, b.id)), frozenset((a.id, c.id))}
        while not b.gone():
            spoke = a.membership.speaks
            self.world.pass_time(0.1)
        self.assertFalse(spoke)
        self.assertEqual(b.gone(), [a.id])

    def test_double_fault(self) -> None:
        """Redis away for all, and one out of reach: nobody knows whether that one is declared dead,
        or declares others dead, so all three are silent.
        """
        a, b, c = self.three()
        self.world.redis_away(a, b, c)
        self.world.cut |= {frozenset((a.id, c.id)), frozenset((b.id, c.id))}
        self.world.pass_time(LEASE_S)
        self.assertFalse(any(member.membership.speaks for member in (a, b, c)))

    def test_process_is_gone(self) -> None:
        """Redis away for all, and one killed: its address refuses, so the others go on."""
        a, b, c = self.three()
        self.world.redis_away(a, b, c)
        self.world.kill(c)
        self.world.pass_time(30.0)
        self.assertTrue(a.membership.speaks)
        self.assertTrue(b.membership.speaks)

    def test_told_that_it_is_dead(self) -> None:
        """A fenced node that Redis does not answer hears of it from another."""
        a, b = self.pair(linked=True)
        a.is_stopped = True
        self.world.pass_time(20.0)
        self.assertEqual(b.gone(), [a.id])
        self.world.redis_away(a)
        a.wake()
        self.assertEqual(a.events[-1:], [NodeFenced(a.id)])

    def test_answers(self) -> None:
        """What one is told who asks for a renewal."""
        a, b = self.pair(linked=True)
        for state, prepare, asker in (
            (LeaseState.RENEWED, lambda: None, a.id),
            (LeaseState.UNKNOWN, lambda: self.world.state.nodes.pop("a"), a.id),
            (LeaseState.FENCED, lambda: self.world.state.gone.update({a.id: "c.1"}), a.id),
            (LeaseState.AWAY, lambda: self.world.redis_away(b), a.id),
        ):
            prepare()
            answer = done(b.membership.renew_for(asker, Renew()))
            self.assertEqual(answer, LeaseRenewed(state))


class LostBoardTests(LeaseCase):
    """Redis is empty, or another one with less in it."""

    def setUp(self) -> None:
        super().setUp()
        self.entering: list[Deferred[None]] = []

    def enters(self, member: Member) -> None:
        """Have it take until :meth:`entered` to enter its sessions."""

        async def enter() -> None:
            entering = Deferred[None]()
            self.entering.append(entering)
            await entering

        member.membership.on_loss = enter

    def test_empty(self) -> None:
        """All come back under the generations that they have; until all sessions are entered again
        nobody counts as absent; nobody was lost.
        """
        a, b = self.pair()
        self.enters(a)
        self.enters(b)
        self.assertTrue(a.membership.complete)
        self.world.state.empty()
        self.world.pass_time(1.2)
        self.assertEqual(len(self.entering), 2)
        self.assertFalse(a.membership.complete)
        self.assertFalse(b.membership.complete)
        self.entering[0].callback(None)
        self.world.pass_time(1.2)
        self.assertFalse(a.membership.complete)
        self.assertFalse(b.membership.complete)
        self.entering[1].callback(None)
        self.world.pass_time(1.2)
        self.assertTrue(a.membership.complete)
        self.assertTrue(b.membership.complete)
        self.assertEqual((a.id.generation, b.id.generation), (1, 1))
        self.assertEqual((a.gone(), b.gone()), ([], []))
        self.world.pass_time(30.0)
        self.assertEqual((a.gone(), b.gone()), ([], []))

    def test_failed_over(self) -> None:
        """The same when another Redis has taken over, with or without their records."""
        a, b = self.pair()
        self.enters(a)
        self.world.state.fail_over("b")
        self.assertFalse(a.membership.complete)  # from the first moment
        self.world.pass_time(1.2)
        self.assertFalse(a.membership.complete)
        self.assertTrue(a.membership.is_in(b.id))
        self.entering[0].callback(None)
        self.world.pass_time(2.2)
        self.assertTrue(a.membership.complete)
        self.assertTrue(b.membership.complete)
        self.assertEqual((a.gone(), b.gone()), ([], []))

    def test_lost_again_meanwhile(self) -> None:
        """If it is empty again while sessions are entered, all begin again."""
        a = self.world.join("a")
        self.enters(a)
        self.world.state.empty()
        self.world.pass_time(1.2)
        self.world.state.empty()
        self.world.pass_time(1.2)
        self.assertEqual(len(self.entering), 2)
        self.entering[0].callback(None)
        self.world.pass_time(1.2)
        self.assertFalse(a.membership.complete)
        self.entering[1].callback(None)
        self.world.pass_time(1.2)
        self.assertTrue(a.membership.complete)

    def test_killed_meanwhile(self) -> None:
        """Who does not come back is declared dead after a lease: then all are complete."""
        a, b = self.pair()
        self.world.state.empty()
        self.world.kill(b)
        self.world.pass_time(2.0)
        self.assertFalse(a.membership.complete)
        self.assertEqual(a.gone(), [])
        self.world.pass_time(LEASE_S + 1.0)
        self.assertEqual(a.gone(), [b.id])
        self.assertTrue(a.membership.complete)

    def test_dead_before(self) -> None:
        """Who was declared dead before does not come back, though Redis has forgotten it."""
        a, b = self.pair()
        b.is_stopped = True
        self.world.pass_time(20.0)
        self.assertEqual(a.gone(), [b.id])
        self.world.state.empty()
        b.wake()
        self.world.pass_time(3.0)
        self.assertFalse(b.membership.speaks)
        self.assertEqual(b.events[-1:], [NodeFenced(b.id)])
        self.assertEqual(a.gone(), [b.id])

    def test_alive_again(self) -> None:
        """Neither does one of whom another Redis has not been told that it is dead."""
        a, b = self.pair()
        record = self.world.state.nodes["b"]
        b.is_stopped = True
        self.world.pass_time(20.0)
        self.world.state.fail_over()
        del self.world.state.gone[b.id]
        self.world.state.nodes["b"] = record
        b.wake()
        self.world.pass_time(2.2)
        self.assertEqual(b.events[-1:], [NodeFenced(b.id)])
        self.assertEqual((a.gone(), a.events[1:2]), ([b.id], a.events[-1:]))
        self.assertFalse(a.membership.is_in(b.id))

    def test_away_while_it_is_told(self) -> None:
        """If Redis is away when all sessions are entered, that is said later."""
        a = self.world.join("a")
        self.enters(a)
        self.world.state.empty()
        self.world.pass_time(1.2)
        self.world.redis_away(a)
        self.entering[0].callback(None)
        self.world.pass_time(5.0)
        self.assertFalse(a.membership.complete)
        self.world.redis_away()
        self.world.pass_time(2.2)
        self.assertTrue(a.membership.complete)
        self.assertEqual(self.world.state.nodes["a"].entered, self.world.state.era)
