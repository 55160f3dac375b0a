"""Nodes that are connected with each other, by real sockets."""

import socket
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from typing_extensions import override

from tests.unit.cluster import bus_contract
from tests.unit.cluster.conversations import message
from tests.unit.cluster.links import LinkedNode, linked, start, turns, until
from xmppd.cluster.bus import Outcome, Unreachable
from xmppd.cluster.entries.entry import BusEntry
from xmppd.cluster.link_bus import LinkBus
from xmppd.cluster.node import Node, NodeId


class HubTLSTests(bus_contract.BusContract):
    """The contract over the hub and TLS."""

    in_hub = tls = True
    a: LinkBus
    b: LinkBus

    @override
    async def start(self) -> None:
        self.nodes = [LinkedNode(name, in_hub=self.in_hub, tls=self.tls) for name in ("a", "b")]
        for node in self.nodes:
            self.addCleanup(node.stop)
            node.bus.take_beside = lambda sender, entry: entry
        self.a, self.b = (node.bus for node in self.nodes)
        await start(*self.nodes)

    @override
    async def cut(self) -> None:
        for node in self.nodes:
            node.cut()

    @override
    async def mend(self) -> None:
        for node in self.nodes:
            node.reachable = True
        if self.a.membership.is_in(self.b_id):
            await linked(*self.nodes)

    @override
    async def lose_b(self) -> None:
        del self.nodes[0].members["b"]

    @override
    async def pause_b(self) -> None:
        self.nodes[1].membership.paused = True

    @override
    async def let_b_speak(self) -> None:
        self.nodes[1].membership.paused = False

    @override
    async def until_settled(self) -> None:
        """Whatever is behind another frame on a wire has come when an answer beside has."""
        for _ in range(3):
            await turns()
            for here, there in ((self.a, self.b_id), (self.b, self.a_id)):
                if here.linked(there):
                    await here.ask_beside(there, message("beside"), 10)


class HubTests(HubTLSTests):
    """The contract over the hub, in the clear."""

    tls = False


class StockTLSTests(HubTLSTests):
    """The contract over Twisted's connections and TLS."""

    in_hub = False


class StockTests(StockTLSTests):
    """The contract over Twisted's connections, in the clear."""

    tls = False


class LinkBusTests(TestCase):
    timeout = 20

    async def setUp(self) -> None:  # type: ignore[override]  # trial waits for it
        self.a, self.b = LinkedNode("a"), LinkedNode("b")
        for node in (self.a, self.b):
            self.addCleanup(node.stop)
            node.bus.take = self.take
        self.got: list[BusEntry] = []

    def take(self, sender: NodeId, entry: BusEntry) -> Outcome:
        """Take what comes."""
        self.got.append(entry)
        return None

    async def test_one_connection(self) -> None:
        """Both dial, and one connection stays: that of the node with the smaller name."""
        await start(self.a, self.b)
        connections = self.a.bus._connections, self.b.bus._connections
        await until(lambda: [len(each) for each in connections] == [1, 1])
        await turns(50)
        (ours,), (theirs,) = connections
        self.assertIsNotNone(ours.dialled)
        self.assertIsNone(theirs.dialled)

    async def test_a_node_comes_later(self) -> None:
        """A node that comes is connected with when the others hear of it, and used at once."""
        await start(self.a)
        await start(self.b)
        self.a.knows(self.b)
        self.b.knows(self.a)
        self.b.bus.tell(self.a.id, message(1))
        await until(lambda: self.got)
        self.assertEqual(self.got, [message(1)])

    async def test_reconnect(self) -> None:
        """A connection that breaks is made again, and nothing is lost."""
        await start(self.a, self.b)
        for id in range(20):
            self.a.bus.tell(self.b.id, message(id))
            await turns(1)
            if id % 5 == 0:
                for connection in tuple(self.a.bus._connections):
                    connection.abort("broken by the test")
        await until(lambda: len(self.got) == 20)
        self.assertEqual(self.got, [message(id) for id in range(20)])
        self.assertGreater(self.a.bus.link_states()[self.b.id].reconnects, 0)

    async def test_stopped(self) -> None:
        """A node that has stopped makes no connection again, whatever it still has to say."""
        await start(self.a, self.b)
        await self.a.bus.stop()
        self.a.bus.tell(self.b.id, message(1))
        await turns(50)
        self.assertEqual((self.a.bus._connections, self.got), (set(), []))

    async def test_another_certificate(self) -> None:
        """Whoever has not the certificate of the directory is no node, at either end."""
        await self.a.listen()
        await self.b.listen()
        self.a.members["b"] = Node(
            id=self.b.id, address=self.b.record.address, certificate=self.a.record.certificate
        )
        self.b.knows(self.a)
        self.a.bus.start()
        self.b.bus.start()
        await until(lambda: self.a.bus.door.refused and self.trouble(self.a))
        self.assertIn("not the one in the directory", self.trouble(self.a))
        await until(lambda: "says" in self.trouble(self.b))
        self.assertIn("node b.1 does not have the certificate", self.trouble(self.b))
        self.assertFalse(self.a.bus.linked(self.b.id))

    def trouble(self, node: LinkedNode) -> str:
        """Why a node has no connection with the other."""
        other = self.b if node is self.a else self.a
        return node.bus.link_states()[other.id].trouble

    async def test_fenced(self) -> None:
        """A generation that is not in any more is not heard."""
        await start(self.a, self.b)
        del self.a.members["b"]
        self.a.bus.look()
        self.b.bus.tell(self.a.id, message(1))
        await until(lambda: "does not belong to the service" in self.trouble(self.b))
        await until(lambda: self.a.bus.door.refused)
        self.assertEqual(self.got, [])

    async def test_refuses(self) -> None:
        """It is known that nothing listens at a node's address."""
        await self.a.listen()
        await self.b.listen()
        self.a.knows(self.b)
        await self.b.close_door()
        self.a.bus.start()
        await until(lambda: self.a.bus.refuses(self.b.id))
        self.assertFalse(self.a.bus.linked(self.b.id))
        await self.b.listen()
        self.a.knows(self.b)

    async def test_by_name(self) -> None:
        """A node may be known by the name of its machine."""
        await self.a.listen()
        await self.b.listen()
        record = self.b.record
        self.a.members["b"] = Node(
            id=self.b.id, address=f"localhost:{self.b.port_number}", certificate=record.certificate
        )
        self.b.knows(self.a)
        self.a.bus.start()
        await until(lambda: self.a.bus.linked(self.b.id))

    async def test_beside(self) -> None:
        """A question beside all others is answered by a node that may not act."""
        await start(self.a, self.b)
        self.b.membership.paused = True
        self.b.bus.take_beside = lambda sender, entry: message(str(sender))
        answer = await self.a.bus.ask_beside(self.b.id, message("?"), 5)
        self.assertEqual(answer, message("a.1"))

    async def test_beside_refused(self) -> None:
        """Or it says why it does not answer; or there is no connection, or it breaks."""
        await start(self.a, self.b)

        def refuse(sender: NodeId, entry: BusEntry) -> Outcome:
            raise Unreachable("nor do I")

        self.b.bus.take_beside = refuse
        asked = self.ask_beside()
        error = await self.assertFailure(asked, Unreachable)
        self.assertEqual(str(error), "nor do I")
        self.b.bus.take_beside = lambda sender, entry: Deferred()
        asked = self.ask_beside()
        await turns()
        self.a.cut()
        await self.assertFailure(asked, Unreachable)
        error = await self.assertFailure(self.ask_beside(), Unreachable)
        self.assertEqual(str(error), "there is no connection with node b.1")

    async def test_asked_again(self) -> None:
        """If another connection takes the place of the one by which it was asked, it goes by that:
        nodes that dial each other at the same time have two for a moment.
        """
        asked = await self.ask_once()
        await until(lambda: asked)
        self.dial_again()
        self.assertEqual(await self.answer, message("here"))

    async def test_asked_between(self) -> None:
        """So it does if the one is lost before the other has greeted."""
        asked = await self.ask_once()
        await until(lambda: asked)
        self.dial_again()
        self.a.cut()
        self.assertEqual(await self.answer, message("here"))

    async def ask_once(self) -> list[BusEntry]:
        """Ask the other node, which answers only when it is asked again; returns what it got."""
        await start(self.a, self.b)
        asked: list[BusEntry] = []

        def take(sender: NodeId, entry: BusEntry) -> Outcome:
            asked.append(entry)
            return Deferred() if len(asked) == 1 else message("here")

        self.b.bus.take_beside = take
        self.answer = self.ask_beside()
        return asked

    def dial_again(self) -> None:
        """Make another connection, as if there were none."""
        link = self.a.bus._links[self.b.id]
        link._attempt, link._dialling = link._dial(link.node)

    def ask_beside(self) -> "Deferred[BusEntry | None]":
        """Ask the other node."""
        return Deferred.fromCoroutine(self.a.bus.ask_beside(self.b.id, message("?"), 5))

    def count_strangers(self, count: int) -> Callable[[], bool]:
        """Whether so many were refused."""
        return lambda: self.a.bus.door.refused >= count

    async def test_strangers(self) -> None:
        """Who talks nonsense at the door is cut off at once; others do not notice."""
        await start(self.a, self.b)
        for words in (b"GET / HTTP/1.1\r\n\r\n", b"\x00" * 100, b"\x16\x03\x01\x00\x05hello"):
            with socket.create_connection(("127.0.0.1", self.a.port_number)) as stranger:
                stranger.sendall(words)
                await until(self.count_strangers(self.a.bus.door.refused + 1))
        self.b.bus.tell(self.a.id, message(1))
        await until(lambda: self.got)
