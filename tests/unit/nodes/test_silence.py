"""What clients see of a node that may not act for a while, or never again."""

import re
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.cluster import Cluster, alone
from xmppd.cluster.leases import LeasedMembership
from xmppd.cluster.memory_lease_board import MemoryLeaseBoard, MemoryLeaseBoardState
from xmppd.cluster.node import Node, NodeId
from xmppd.stanza import Message, ns
from xmppd.store.errors import StoreError
from xmppd.store.store import Store
from xmppd.testing.client import done
from xmppd.testing.house import House
from xmppd.testing.nodes import SharedMemoryDatabase

LEASE_S = 5.0
ENABLE = f"<enable xmlns='{ns.STREAM_MANAGEMENT}' resume='true'/>"
HELLO = "<message to='juliet@montague.lit/1' type='chat'><body>{}</body></message>"


class LeasedHouse(House):
    """A house that acts while it has a lease.

    Attributes:
        stopped_s: For so long its process was stopped.
    """

    def join(self) -> Cluster:
        self.stopped_s = 0.0
        self.boards = MemoryLeaseBoardState(self.boot_clock)
        self.board = MemoryLeaseBoard(self.boards)
        self.membership = LeasedMembership(
            self.board, Node(id=NodeId("a", 0)), LEASE_S, self.clock, self.boot_clock
        )
        done(self.membership.join())
        other = Node(id=NodeId("b", 0))
        done(self.board.join(other, 1_000.0))  # so that it does not go on without a lease
        return replace(alone(), membership=self.membership)

    def boot_clock(self) -> float:
        return self.clock.seconds() + self.stopped_s

    def pause(self, seconds: float) -> None:
        """Have its process be stopped for a while."""
        self.stopped_s += seconds


def deliver(house: House, message: str) -> None:
    """Have the server route a message of romeo's, as when that has waited for the store."""
    from_romeo = message.replace("<message ", "<message from='romeo@montague.lit/1' ")
    house.server.packet_router.route_on(Message.from_bytes(from_romeo.encode()))


def _bodies(raw: bytes) -> list[bytes]:
    return re.findall(b"<body>(.)</body>", raw)


class SilenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.house = LeasedHouse(
            clock=self.clock, romeo={"juliet": "both"}, juliet={"romeo": "both"}
        )
        self.romeo, self.juliet = self.house.connect("romeo", "juliet")
        self.clock.pump([0.5] * 4)
        self.assertTrue(self.house.membership.speaks)

    def test_nothing_is_read(self) -> None:
        """After a pause nothing is taken from a wire before the lease is renewed; then all of it
        is, in order.
        """
        self.house.pause(6.0)
        self.romeo.send(HELLO.format(1))
        self.romeo.send(HELLO.format(2))
        self.assertEqual(self.juliet.raw(), b"")
        self.clock.advance(1.0)
        heard = self.juliet.raw()
        self.assertLess(heard.index(b">1<"), heard.index(b">2<"))
        self.romeo.send(HELLO.format(3))
        self.assertIn(b">3<", self.juliet.raw())

    def test_nothing_is_sent(self) -> None:
        """What would be sent because a wait is over is sent when the lease is renewed, in order,
        and so is what comes behind it.
        """
        self.house.pause(6.0)
        deliver(self.house, HELLO.format(1))
        deliver(self.house, HELLO.format(2))
        self.assertEqual(self.juliet.raw(), b"")
        self.clock.advance(1.0)
        deliver(self.house, HELLO.format(3))
        self.assertEqual(_bodies(self.juliet.raw()), [b"1", b"2", b"3"])

    def test_lost_before_it_is_sent(self) -> None:
        """If the wire is lost before that, it is routed again, like all that the client has not
        got.
        """
        self.house.pause(6.0)
        deliver(self.house, HELLO.format(1))
        self.juliet.abort()
        self.clock.advance(1.0)
        waiting = done(self.house.store.offline.offline_messages("juliet@montague.lit"))
        self.assertEqual([_bodies(each.stanza) for each in waiting], [[b"1"]])

    def test_not_sent_when_fenced(self) -> None:
        """A node that was declared dead meanwhile never sends it."""
        self.house.boards.fence(self.house.membership.id, "b.1")
        self.house.pause(6.0)
        deliver(self.house, HELLO.format(1))
        self.clock.advance(1.0)
        raw = self.juliet.raw()
        self.assertTrue(raw.startswith(b"<stream:error><reset "), raw)
        self.assertNotIn(b"<message", raw)

    def test_login_is_sent_later(self) -> None:
        """A login that goes on meanwhile is answered in its order, too."""
        client = self.house.unauthenticated()
        client.raw()
        self.house.pause(6.0)
        client.handler.write(b"<success/>")
        client.handler.offer(b"<bind/>")
        self.assertEqual(client.raw(), b"")
        self.clock.advance(1.0)
        raw = client.raw()
        self.assertLess(raw.index(b"<success/>"), raw.index(b"<bind/>"))

    def test_end_of_wire(self) -> None:
        """Neither is that a wire is lost: contacts hear of it when the node may act again."""
        self.house.pause(6.0)
        self.romeo.abort()
        self.assertEqual(self.juliet.raw(), b"")
        self.clock.advance(1.0)
        self.assertIn(b"type='unavailable'", self.juliet.raw())

    def test_fenced(self) -> None:
        """A node that was declared dead meanwhile closes its wires, and nobody hears anything; what
        its clients have sent is not handled, and their ends are not noticed.
        """
        self.house.boards.fence(self.house.membership.id, "b.1")
        self.house.pause(6.0)
        self.romeo.send(HELLO.format(1))
        self.clock.advance(1.0)
        self.assertTrue(self.house.membership.fenced)
        for client in (self.romeo, self.juliet):
            raw = client.raw()
            self.assertTrue(raw.startswith(b"<stream:error><reset "), raw)
            self.assertNotIn(b"<message", raw)
            self.assertNotIn(b"<presence", raw)
        self.juliet.abort()
        self.clock.pump([1.0] * 60)
        self.assertIn("juliet@montague.lit/1", self.house.server.routing_table.bound)
        self.assertEqual(
            done(self.house.store.presences.last_presence(["juliet@montague.lit"])), {}
        )

    def test_dropped(self) -> None:
        """A server that was declared dead ends without a word: nothing is told, nothing is saved,
        no timer is left that would look after clients.
        """
        self.house.boards.fence(self.house.membership.id, "b.1")
        self.romeo.send(ENABLE)
        self.clock.advance(1.0)
        self.romeo.raw()
        self.juliet.raw()
        self.house.server.drop()
        stopping = self.house.stop()
        self.successResultOf(stopping)
        self.assertEqual(self.romeo.raw() + self.juliet.raw(), b"")
        self.assertIn("romeo@montague.lit/1", self.house.server.routing_table.bound)
        self.clock.pump([1.0] * 60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_long(self) -> None:
        """A node that has had no lease for too long closes its wires, so that clients look for
        another one; if it was not declared dead, sessions that can be resumed are then detached,
        and others end.
        """
        self.romeo.send(ENABLE)
        self.romeo.raw()
        self.house.board.away = True
        self.clock.pump([1.0] * 16)
        for client in (self.romeo, self.juliet):
            self.assertIn(b"<reset ", client.raw())
        self.clock.pump([1.0] * 20)
        bound = self.house.server.routing_table.bound
        self.assertEqual(sorted(bound), ["juliet@montague.lit/1", "romeo@montague.lit/1"])
        self.house.board.away = False
        self.clock.advance(1.0)
        self.assertEqual(sorted(bound), ["romeo@montague.lit/1"])
        self.assertTrue(self.house.server.resumable_sessions.resumable())


class LeavingTests(SynchronousTestCase):
    """A node that stops in order writes what it has begun, when it has left the others."""

    def setUp(self) -> None:
        self.clock = Clock()
        store = Store(SharedMemoryDatabase(), self.clock, self.clock.seconds)
        self.house = LeasedHouse(clock=self.clock, store=store)
        self.clock.pump([0.5] * 4)

    def writing(self) -> Deferred[None]:
        """Something that has not been written yet."""
        return Deferred.fromCoroutine(self.house.store.database.write(lambda connection: None))

    def test_written(self) -> None:
        """It has no lease any more, and nobody does it in its place (ST-11)."""
        self.successResultOf(self.house.stop())
        self.assertFalse(self.house.membership.speaks)
        self.successResultOf(self.writing())

    def test_fenced_meanwhile(self) -> None:
        """One that is declared dead while it leaves writes nothing more: others have what it had
        (ST-11).
        """
        membership = self.house.membership
        leave = membership.leave

        async def leave_too_late() -> None:
            self.house.boards.fence(membership.id, "b.1")
            self.clock.advance(1.0)
            await leave()

        self.patch(membership, "leave", leave_too_late)
        self.house.stop()
        self.assertTrue(membership.fenced)
        writing = self.writing()
        self.assertNoResult(writing)
        self.clock.advance(60)
        self.failureResultOf(writing, StoreError)
