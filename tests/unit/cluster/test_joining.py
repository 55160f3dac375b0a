"""A node that would not fit the others is told what to change, and does not join."""

from collections.abc import Collection

from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.joining import JoinError, check_fits, join, may_act
from xmppd.cluster.lease_board import BoardAway, BoardState
from xmppd.cluster.leases import LeasedMembership
from xmppd.cluster.memory_lease_board import MemoryLeaseBoard, MemoryLeaseBoardState
from xmppd.cluster.node import Node, NodeId
from xmppd.testing.client import done

A = Node(id=NodeId("a", 0), instance="1", secret="s", domains="d", database="x", protocol=3)
B = replace(A, id=NodeId("b", 0), instance="2")


class JoiningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.state = MemoryLeaseBoardState(self.clock.seconds)
        self.board = MemoryLeaseBoard(self.state)
        done(self.board.join(A, 5.0))

    def membership(self, node: Node) -> LeasedMembership:
        return LeasedMembership(self.board, node, 5.0, self.clock, self.clock.seconds)

    def refusal(self, node: Node) -> str:
        """The sentence; nothing was written on the board."""
        before = self.state.version
        joining = Deferred.fromCoroutine(join(self.membership(node), self.clock))
        error = self.failureResultOf(joining, JoinError)
        self.assertEqual(self.state.version, before)
        return str(error.value)

    def test_fits(self) -> None:
        """One that has everything in common with the others joins; of its own name it is no
        concern what a former life had.
        """
        done(join(self.membership(B), self.clock))
        self.assertEqual(set(self.state.nodes), {"a", "b"})
        check_fits(replace(A, secret="another"), (A,))

    def test_sentences(self) -> None:
        """What is at odds, with whom, and what to change."""
        for node, sentence in (
            (
                replace(B, secret="t"),
                'cluster.secret_file differs from that of node "a"; copy the file',
            ),
            (replace(B, domains="e"), '[[domain]] differs from node "a"; all nodes'),
            (replace(B, database="y"), 'storage.url differs from node "a"'),
            (replace(B, protocol=1), "this node version 1; upgrade xmppd at this node first"),
            (replace(B, protocol=5), 'this node version 5; upgrade xmppd at node "a" first'),
            (replace(B, address="h:1"), 'cluster.links is "direct" here, but "redis" at node "a"'),
        ):
            with self.subTest(sentence):
                self.assertIn(sentence, self.refusal(node))
        done(join(self.membership(replace(B, protocol=2)), self.clock))

    def test_joined_at_once(self) -> None:
        """Of two that join at the same moment and do not fit, one leaves again at least."""
        other = replace(B, secret="t")
        membership = self.membership(other)
        read, states = self.board.read, [BoardState(())]  # as it was a moment before

        async def read_late(known: Collection[NodeId]) -> BoardState:
            return states.pop() if states else await read(known)

        self.patch(self.board, "read", read_late)
        joining = Deferred.fromCoroutine(join(membership, self.clock))
        self.failureResultOf(joining, JoinError)
        self.assertEqual(set(self.state.nodes), {"a"})
        self.assertFalse(membership.speaks)

    def test_name_is_taken(self) -> None:
        """A name that stays taken for longer than a lease lasts is refused."""
        other = self.membership(replace(A, instance="3"))
        joining = Deferred.fromCoroutine(join(other, self.clock))
        for _ in range(6):
            self.assertNoResult(joining)
            done(self.board.renew(NodeId("a", 1), 5.0))
            self.clock.advance(1.0)
        error = self.failureResultOf(joining, JoinError)
        self.assertIn('cluster.node "a" is the name of another running', str(error.value))

    def test_name_becomes_free(self) -> None:
        """One that was killed leaves its name when its lease ends."""
        other = self.membership(replace(A, instance="3"))
        joining = Deferred.fromCoroutine(join(other, self.clock))
        self.clock.pump([1.0] * 6)
        self.successResultOf(joining)
        self.assertEqual(other.id, NodeId("a", 2))

    def test_away(self) -> None:
        """Without Redis nobody joins."""
        self.board.away = True
        joining = Deferred.fromCoroutine(join(self.membership(B), self.clock))
        self.failureResultOf(joining, BoardAway)

    def started(self) -> tuple[LeasedMembership, Deferred[None]]:
        """A node that has joined, took longer than its lease to read its plugins, and waits."""
        membership = self.membership(B)
        done(join(membership, self.clock))
        self.clock.rightNow += 6.0
        return membership, Deferred.fromCoroutine(may_act(membership, self.clock))

    def test_slow_start(self) -> None:
        """A node that was slow to start waits until it has a lease again."""
        _, waiting = self.started()
        self.assertNoResult(waiting)
        self.clock.pump([0.1] * 2)
        self.successResultOf(waiting)

    def test_too_slow_start(self) -> None:
        """If the others have declared it dead meanwhile it says so."""
        membership, waiting = self.started()
        done(self.board.fence(membership.id, A.id, membership.era))
        self.clock.pump([0.1] * 2)
        error = self.failureResultOf(waiting, JoinError)
        self.assertIn("took so long to start", str(error.value))
