"""Links between nodes over time: two dial at once, one falls silent, strangers come."""

from dataclasses import replace
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from msgspec.msgpack import Decoder, Encoder
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.unit.cluster.conversations import message
from tests.unit.cluster.link_lines import LineEnd, LineNode, Lines
from xmppd.cluster.conversation import Conversation
from xmppd.cluster.entries.any_entry import PROTOCOL
from xmppd.cluster.frame import MAX_FRAME_BYTES, FrameKind, array, header
from xmppd.cluster.link import LOG_EVERY_S
from xmppd.cluster.link_door import MAX_STRANGERS
from xmppd.cluster.link_protocol import (
    GREETING_S,
    MAX_GREETING_BYTES,
    LinkGoodbye,
    LinkHello,
    LinkPing,
    LinkProtocol,
)
from xmppd.cluster.node import Node, NodeId

encode, decode = Encoder().encode, Decoder().decode


class OtherWay:
    """Another way from one node to the other, which arrives when that one ends its turn."""

    def __init__(self, here: LineNode, there: LineNode) -> None:
        self.here, self.there = here, there

    def start(self) -> None:
        """Do nothing."""

    async def stop(self) -> None:
        """Do nothing."""

    def forget(self, node: NodeId) -> None:
        """Do nothing."""

    def carrier(self, conversation: Conversation) -> "OtherWay":
        """The same for all frames."""
        return self

    def send(self, frame: bytes) -> None:
        """Let a frame arrive."""
        conversation = self.there.bus.conversation(self.here.id)
        assert conversation is not None
        self.there.turn_ends.append(lambda: conversation.receive(frame))


class LinkTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.lines = Lines("a", "b")
        self.a, self.b = self.lines

    def start(self) -> None:
        """Connect them."""
        for node in self.lines:
            node.bus.start()
        self.lines.clock.advance(0)
        self.lines.settle()

    def links(self) -> list[LineEnd]:
        """Both ends of the connection that they use."""
        return [end for end in self.lines.ends if not end.lost]

    def trouble(self, node: LineNode) -> str:
        """Why a node has no connection with the other one."""
        (state,) = node.bus.link_states().values()
        return state.trouble


class ConnectTests(LinkTestCase):
    @given(st.integers(0, 2**32).map(Random), st.integers(0, 3))
    def test_both_dial(self, random: Random, breaks: int) -> None:
        """Whatever the order in which things arrive, one connection stays, and nothing is lost."""
        self.setUp()
        for node in self.lines:
            node.bus.start()
        told = 0
        for _ in range(breaks + 1):
            for here, there in ((self.a, self.b), (self.b, self.a)):
                here.bus.tell(there.id, message(told))
            told += 1
            self.lines.wait(2, random)
            self.assertEqual(len(self.links()), 2)
            random.choice(self.links()).protocol.abort("broken by the test")
        self.lines.wait(2, random)
        for node in self.lines:
            self.assertEqual(node.got, [message(id) for id in range(told)])

    def test_smaller_stays(self) -> None:
        """If both have dialled, the connection of the node with the smaller name stays."""
        for node in self.lines:
            node.bus.start()
        self.lines.clock.advance(0)
        self.assertEqual(len(self.links()), 4)
        self.lines.settle()
        dialled = [end.protocol.dialled for end in self.links()]
        self.assertEqual([node.id for node in dialled if node is not None], [self.b.id])

    def test_retries(self) -> None:
        """A node that cannot be reached is dialled again after 0.1, 0.2 … 5 s."""
        times: list[float] = []
        self.a.reachable = False
        dial = self.a.connect

        def note(node: Node, protocol: LinkProtocol) -> "Deferred[None]":
            times.append(self.lines.clock.seconds())
            return dial(node, protocol)

        self.a.dial = note
        self.a.bus.start()
        for _ in range(2_000):
            self.lines.clock.advance(0.01)
        gaps = [round(after - before, 1) for before, after in pairwise(times)]
        self.assertEqual(gaps, [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])

    def test_logged_now_and_then(self) -> None:
        """That there is no connection is logged at once, and then once a minute."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        self.a.reachable = False
        self.a.bus.start()
        self.lines.wait(2 * LOG_EVERY_S + 6)
        self.assertEqual(len(lines), 3)
        self.assertEqual(
            {line.rpartition(": ")[0].partition(":")[0] for line in lines},
            {"not connected to node b.1"},
        )


class StopTests(LinkTestCase):
    def test_while_it_dials(self) -> None:
        """A node that stops closes its connections, gives up others, and leaves no timer behind."""
        given_up: list[object] = []
        self.a.dial = lambda node, protocol: Deferred(given_up.append)
        self.start()
        self.lines.wait(1)
        self.assertTrue(self.a.bus.linked(self.b.id))
        self.a.bus.tell(self.b.id, message(1))
        stopped = Deferred.fromCoroutine(self.a.bus.stop())
        self.lines.settle()
        self.successResultOf(stopped)
        self.assertEqual(len(given_up), 1)
        self.assertFalse(self.a.bus.link_states())
        stopped = Deferred.fromCoroutine(self.b.bus.stop())
        self.lines.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.lines.clock.getDelayedCalls(), [])

    def test_left(self) -> None:
        """A node that is not in any more is not dialled again."""
        self.start()
        for node, other in ((self.a, "b"), (self.b, "a")):
            del node.members[other]
        self.lines.wait(1)
        self.assertEqual((self.links(), self.a.bus.link_states()), ([], {}))
        before = len(self.lines.ends)
        self.lines.wait(10)
        self.assertEqual(len(self.lines.ends), before)


class SilenceTests(LinkTestCase):
    def test_ping(self) -> None:
        """A connection on which nothing is said is pinged, and stays."""
        self.start()
        self.lines.wait(20)
        self.assertTrue(self.a.bus.linked(self.b.id))
        self.assertEqual(len(self.lines.ends), 4)
        self.assertLess(self.a.bus.link_states()[self.b.id].silent_s, 3)

    def test_ping_with_a_short_lease(self) -> None:
        """So it is if a lease is as short as the silence after which others are asked."""
        for node in (self.a, self.b):
            node.bus.settings = replace(node.bus.settings, lease_s=2.0)
        self.start()
        self.lines.wait(20)
        self.assertTrue(self.a.bus.linked(self.b.id))
        self.assertEqual(len(self.lines.ends), 4)

    def test_dead(self) -> None:
        """A node that is not heard of for the time of a lease is dead, and not before."""
        self.start()
        self.a.reachable = self.b.reachable = False
        for end in self.lines.ends:
            end.stuck = True
        self.lines.wait(4.5)
        self.assertTrue(self.a.bus.linked(self.b.id))
        self.assertFalse(self.a.bus.dead(self.b.id))
        self.lines.wait(1)
        self.assertFalse(self.a.bus.linked(self.b.id))
        self.assertTrue(self.a.bus.dead(self.b.id))

    def test_never_heard(self) -> None:
        """A node that was never heard of is dead after the same time."""
        self.a.reachable = False
        self.a.bus.start()
        self.lines.wait(4.9)
        self.assertFalse(self.a.bus.dead(self.b.id))
        self.lines.wait(0.2)
        self.assertTrue(self.a.bus.dead(self.b.id))

    def test_back(self) -> None:
        """It is so no more when it is heard of again; what was said meanwhile arrives."""
        self.start()
        for end in self.lines.ends:
            end.stuck = True
        self.a.reachable = self.b.reachable = False
        self.a.bus.tell(self.b.id, message(1))
        self.lines.wait(6)
        self.a.reachable = self.b.reachable = True
        self.lines.wait(5)
        self.assertFalse(self.a.bus.dead(self.b.id))
        self.assertEqual(self.b.got, [message(1)])

    def test_detour(self) -> None:
        """What is said while the link is dead takes another way, if there is one; when the link is
        back it is used again, and nothing comes twice (CL-88).
        """
        for node, other in ((self.a, self.b), (self.b, self.a)):
            node.bus.detour = OtherWay(node, other)
        self.start()
        self.a.bus.tell(self.b.id, message(0))
        self.lines.settle()
        for end in self.lines.ends:
            end.stuck = True
        self.a.reachable = self.b.reachable = False
        self.a.bus.tell(self.b.id, message(1))
        self.lines.wait(4)
        self.assertEqual(self.b.got, [message(0)])
        self.lines.wait(3)
        self.assertEqual(self.b.got, [message(0), message(1)])
        self.assertTrue(self.a.bus.link_states()[self.b.id].detoured)
        (traffic,) = self.a.bus.traffic()
        self.assertEqual((traffic.node, traffic.way, traffic.reconnects), (self.b.id, "detour", 1))
        self.a.bus.tell(self.b.id, message(2))
        self.a.reachable = True
        self.lines.wait(5)
        self.assertEqual(self.b.got, [message(id) for id in range(3)])
        state = self.a.bus.link_states()[self.b.id]
        self.assertEqual((state.linked, state.detoured), (True, False))
        self.assertEqual(self.a.bus.traffic()[0].way, "link")
        self.assertEqual(self.a.bus.states()[self.b.id].entries, 0)

    def test_one_has_not_noticed(self) -> None:
        """A connection that one end has lost without the other's notice is replaced in a second,
        whoever dials.
        """
        for name in ("a", "b"):
            self.setUp()
            self.start()
            loser, other = (self.a, self.b) if name == "a" else (self.b, self.a)
            for end in self.links():
                end.stuck = True
                if end.protocol.end is loser.bus:
                    end.protocol.abort("lost by the test")
            loser.bus.tell(other.id, message(1))
            self.lines.wait(2)
            self.assertEqual(other.got, [message(1)], name)


class DoorTests(LinkTestCase):
    """Whoever is no living node is cut off within a second (CL-86)."""

    def setUp(self) -> None:
        super().setUp()
        self.reasons: dict[LinkProtocol, str] = {}
        closed = self.a.bus.door.closed

        def note(connection: LinkProtocol, why: str) -> None:
            self.reasons[connection] = why
            closed(connection, why)

        self.patch(self.a.bus.door, "closed", note)

    def stranger(self) -> LineEnd:
        """Somebody at the door of node a."""
        connection = self.a.bus.door.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1))
        here, there = LineEnd(connection), LineEnd(connection)
        here.other, there.other = there, here
        connection.makeConnection(here)
        return here

    def frame(self, said: object) -> bytes:
        """Something that is said between the ends of a link."""
        return bytes((FrameKind.LINK,)) + encode(said)

    def hello(self, **changes: object) -> bytes:
        """What node b says to node a."""
        proof = self.b.bus.hello(self.a.id).proof
        fields = {
            "protocol": PROTOCOL, "name": "b", "generation": 1, "to": "a", "to_generation": 1,
            "handled": 0, "proof": proof, **changes,
        }  # fmt: skip
        return self.frame(LinkHello(**fields))  # type: ignore[arg-type]

    def say(self, *frames: bytes) -> LineEnd:
        """Have a stranger say something; returns its end."""
        end = self.stranger()
        end.protocol.dataReceived(b"".join(len(frame).to_bytes(4) + frame for frame in frames))
        return end

    def assert_refused(self, why: str, *frames: bytes, told: bool = False) -> None:
        """Who says this is cut off; if it is told why, within a second."""
        end = self.say(*frames)
        self.assertRegex(self.reasons[end.protocol], why)
        self.assertEqual(bool(self.answers(end)), told)
        self.lines.clock.advance(GREETING_S)
        self.assertTrue(end.lost)
        self.assertFalse(self.a.bus.door.strangers)

    def answers(self, end: LineEnd) -> list[bytes]:
        """What it was told."""
        return [said for said in end.other.arriving if isinstance(said, bytes)]

    def test_node(self) -> None:
        """Who says what a node says is one."""
        end = self.say(self.hello())
        self.assertFalse(end.lost)
        self.assertTrue(self.a.bus.linked(self.b.id))
        self.assertEqual(len(self.answers(end)), 2)  # a greeting, and an acknowledgement

    def test_silent(self) -> None:
        """Who says nothing is cut off after a second; who says too little, too."""
        for begin in (b"", b"\x00", b"\x00\x00\x00\x40" + self.hello()[:10]):
            end = self.stranger()
            end.protocol.dataReceived(begin)
            self.lines.clock.advance(0.9)
            self.assertFalse(end.lost)
            self.lines.clock.advance(0.1)
            self.assertTrue(end.lost)
            self.assertEqual(self.reasons[end.protocol], "the peer sends nothing")

    def test_not_a_node(self) -> None:
        """Web browsers, XMPP clients and port scanners are cut off at once, and told nothing."""
        for begin in (b"GET / HTTP/1.1\r\n", b"<?xml version='1.0'?>", b"\x16\x03\x01", b"\0" * 4):
            end = self.stranger()
            end.protocol.dataReceived(begin + b"\r\n")
            self.assertIn("the frame has", self.reasons[end.protocol])
            self.assertEqual((end.lost, self.answers(end)), (True, []))

    def test_no_greeting(self) -> None:
        """A frame before any greeting, or another message, or nonsense."""
        entries = header(FrameKind.ENTRIES, 1, 0) + array([encode(message(1))], 1)
        self.assert_refused("the peer sends no greeting", entries)
        self.assert_refused("the peer sends no greeting", self.frame(LinkPing()))
        self.assert_refused("an invalid message", self.frame(["unknown"]))
        self.assert_refused("an invalid message", bytes((FrameKind.LINK,)) + b"\xc1")
        self.assert_refused("the frame has 1025 bytes", bytes(MAX_GREETING_BYTES + 1))
        self.assertEqual(self.a.got, [])

    def test_goodbye(self) -> None:
        """What a stranger writes cannot forge a line of the log."""
        self.assert_refused(r"the peer says: 'x\\ny'", self.frame(LinkGoodbye("x\ny")))

    def test_secret(self) -> None:
        """Who does not know the secret, or has learned only what another node says."""
        self.assert_refused("the secret of this service", self.hello(proof=b""), told=True)
        self.assert_refused("the secret of this service", self.hello(name="c"), told=True)

    def test_generation(self) -> None:
        """A generation that was fenced, and one that nobody knows."""
        del self.a.members["b"]
        self.assert_refused("node b.1 does not belong to the service", self.hello(), told=True)
        self.a.members["b"] = Node(id=NodeId("b", 2))
        self.assert_refused("node b.1 does not belong to the service", self.hello(), told=True)

    def test_receiver(self) -> None:
        """Who looks for another node, at an address that was that one's."""
        there = NodeId("c", 1)
        proof = self.b.bus.hello(there).proof
        self.assert_refused(
            "wants node c.1, but this is a.1", self.hello(to="c", proof=proof), told=True
        )

    def test_versions(self) -> None:
        """Versions that are next to each other speak; others do not."""
        for version in (PROTOCOL - 1, PROTOCOL, PROTOCOL + 1):
            self.assertFalse(self.say(self.hello(protocol=version)).lost)
        for version in (PROTOCOL - 2, PROTOCOL + 2):
            self.assert_refused(
                f"uses protocol version {version}, and node a.1 version 1",
                self.hello(protocol=version),
                told=True,
            )

    def test_newer_greeting(self) -> None:
        """The greeting of a newer version may say more."""
        fields = list(decode(self.hello()[1:]))
        end = self.say(bytes((FrameKind.LINK,)) + encode([*fields, "more"]))
        self.assertFalse(end.lost)

    def test_twice(self) -> None:
        """Who greets again."""
        self.assert_refused(
            "the peer sends a second greeting", self.hello(), self.hello(), told=True
        )

    def test_nonsense_of_a_node(self) -> None:
        """A node that sends nonsense has its connection closed, is told why, and that is logged
        (CL-81).
        """
        good = header(FrameKind.ENTRIES, 1, 0) + array([encode(message(1))], 1)
        for why, frame in (
            ("the frame has 1048577 bytes", bytes(MAX_FRAME_BYTES + 1)),
            ("frame 3 came after frame 1", header(FrameKind.ENTRIES, 3, 0) + good[17:]),
            ("acknowledges frame 9", header(FrameKind.ACKNOWLEDGEMENT, 0, 9)),
            (
                "an invalid entry: Invalid value 'new'",
                header(0, 2, 0) + array([encode(["new"])], 1),
            ),
            ("'' is not an address", header(0, 2, 0) + array([encode(message(1, to=""))], 1)),
        ):
            end = self.say(self.hello(), good, frame)
            self.assertIn(why, self.trouble(self.a))
            told = self.answers(end)[-1]
            self.assertIn(why.encode(), told)
            self.lines.clock.advance(GREETING_S)
            self.assertTrue(end.lost)
        self.assertEqual(self.a.got, [message(1)])

    def test_handled_too_much(self) -> None:
        """So has one that has handled what was never sent."""
        end = self.say(self.hello(handled=7))
        self.assertIn("acknowledges frame 7", self.reasons[end.protocol])
        self.assertFalse(self.a.bus.linked(self.b.id))

    def test_crowd(self) -> None:
        """Of many strangers the oldest make way; a node comes in all the same."""
        ends = [self.stranger() for _ in range(MAX_STRANGERS + 50)]
        self.assertEqual(sum(end.lost for end in ends), 50)
        self.assertTrue(all(end.lost for end in ends[:50]))
        self.say(self.hello())
        self.assertTrue(self.a.bus.linked(self.b.id))

    def test_logged_once_a_minute(self) -> None:
        """However many come, that is logged once a minute, with their number."""
        lines: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event["log_namespace"].endswith("link_door"):
                lines.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        for _ in range(3):
            for _ in range(200):
                self.say(b"x" * 2_000)
            self.lines.clock.advance(61)
        self.say(b"x" * 2_000)
        refused = (
            "refused connections to the listener for nodes, {} in all; the last, from 192.0.2.7"
        )
        self.assertEqual(
            [line.partition(": ")[0] for line in lines],
            [refused.format(count) for count in (1, 200, 200, 200)],
        )


words = st.binary(max_size=50) | st.sampled_from(
    [b"\x00\x00\x00", b"\x00\x00\x00\x01", b"\x00\x00\x00\x12", b"\x03", b"\xff" * 4]
)


class NonsenseTests(LinkTestCase):
    @given(st.lists(words, max_size=12), st.booleans())
    def test_bytes(self, said: list[bytes], greets: bool) -> None:
        """Whatever bytes come at the door, before or behind a greeting: nothing is handled but
        entries, and the door is open for the next one.
        """
        self.setUp()
        door = self.a.bus.door
        connection = door.buildProtocol(None)
        here, there = LineEnd(connection), LineEnd(connection)
        here.other, there.other = there, here
        connection.makeConnection(here)
        if greets:
            frame = bytes((FrameKind.LINK,)) + encode(self.b.bus.hello(self.a.id))
            connection.dataReceived(len(frame).to_bytes(4) + frame)
        for data in said:
            connection.dataReceived(data)
        self.lines.clock.advance(GREETING_S)
        self.assertTrue(greets or here.lost)
        self.assertEqual((self.a.got, door.strangers), ([], {}))
        self.start()
        self.b.bus.tell(self.a.id, message(1))
        self.lines.wait(2)
        self.assertEqual(self.a.got, [message(1)])
