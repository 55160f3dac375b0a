"""Messages to somebody who comes and goes on three nodes, by schedules made from a seed."""

import re
from collections import Counter, defaultdict
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from xmppd.cluster.memory_bus import MemoryBus
from xmppd.testing.client import Client, done
from xmppd.testing.nodes import Nodes

JULIET = "juliet@montague.lit"
STEPS = 40
_BODY = re.compile(r"<body>(\w+) (\d+)</body>")
_PING = re.compile(r"<iq from='montague.lit' to='[^']*' type='get' id='([^']*)'")
Sent = tuple[str, int]


class MessageSchedule:
    """One course of events: Romeo at a and the nurse at b number their messages to Juliet.

    Args:
        seed: Of all choices.
        cuts: Whether nodes may be cut from each other for a while.

    Attributes:
        sent: The number of messages of each sender.
        got: What each of Juliet's sessions has got, in its order.
    """

    def __init__(self, seed: int, *, cuts: bool) -> None:
        self.random = Random(seed)  # it is to be the same each time
        self.nodes = Nodes("a", "b", "c")
        for name in ("romeo", "nurse", "juliet"):
            self.nodes["a"].add(name)
        self.senders = {
            "romeo": self.nodes["a"].connect("romeo")[0],
            "nurse": self.nodes["b"].connect("nurse")[0],
        }
        self.here: list[Client] = []
        self.got: dict[Client, list[Sent]] = {}
        self.sent: Counter[str] = Counter()
        steps = [self.send] * 6 + [self.log_in, self.log_in, self.log_out, self.pass_time]
        if cuts:
            steps += [self.cut, self.mend]
        for _ in range(STEPS):
            self.random.choice(steps)()
            self.read()
        self.end()

    def bus(self, name: str) -> MemoryBus:
        """That of a node."""
        bus = self.nodes[name].server.cluster.bus
        assert isinstance(bus, MemoryBus)
        return bus

    def send(self) -> None:
        """Somebody writes to Juliet; what nodes say to each other may be under way for a while."""
        name = self.random.choice(sorted(self.senders))
        self.sent[name] += 1
        body = f"<body>{name} {self.sent[name]}</body>"
        message = f"<message to='{JULIET}' type='chat'>{body}</message>"
        self.senders[name].handler.dataReceived(message.encode())
        if self.random.random() < 0.6:
            self.nodes.settle()

    def log_in(self) -> None:
        """Juliet logs in at some node, unless she has three sessions."""
        if len(self.here) < 3:
            client = self.nodes[self.random.choice("abc")].bind("juliet", f"r{len(self.got)}")
            client.send("<presence/>")
            self.here.append(client)
            self.got[client] = []

    def log_out(self) -> None:
        """One of her sessions ends; what it was sent it has read."""
        if self.here:
            client = self.here.pop(self.random.randrange(len(self.here)))
            self.read()
            client.abort()

    def pass_time(self) -> None:
        """A moment passes."""
        self.nodes.clock.advance(self.random.choice((0, 0.1, 1)))
        self.nodes.settle()

    def cut(self) -> None:
        """What one node says does not come to another one any more."""
        one, other = self.random.sample("abc", 2)
        self.bus(one).cut.add(self.nodes[other].id)

    def mend(self) -> None:
        """It does again."""
        for name in "abc":
            for other in sorted(self.bus(name).cut):
                if self.random.random() < 0.5:
                    self.bus(name).mend(other)

    def end(self) -> None:
        """Let everything arrive."""
        for name in "abc":
            for other in tuple(self.bus(name).cut):
                self.bus(name).mend(other)
        for _ in range(40):
            self.nodes.clock.advance(1)
            self.nodes.settle()
        self.read()

    def read(self) -> None:
        """Each session reads, and answers the server's pings."""
        for client, got in self.got.items():
            text = client.transport.take().decode()
            got += [(name, int(number)) for name, number in _BODY.findall(text)]
            for id in _PING.findall(text):
                if not client.transport.lost:
                    pong = f"<iq type='result' to='montague.lit' id='{id}'/>"
                    client.handler.dataReceived(pong.encode())

    def stored(self) -> list[Sent]:
        """The messages that wait for Juliet."""
        waiting = done(self.nodes["a"].store.offline.offline_messages(JULIET))
        texts = " ".join(each.stanza.decode() for each in waiting)
        return [(name, int(number)) for name, number in _BODY.findall(texts)]

    def faults(self, *, order: bool) -> list[str]:
        """What has gone wrong: a message lost, or twice where it is once."""
        stored = self.stored()
        there = Counter(stored)
        faults = [f"{each} is stored twice" for each, count in there.items() if count > 1]
        for got in self.got.values():
            numbers: defaultdict[str, list[int]] = defaultdict(list)
            for name, number in got:
                numbers[name].append(number)
                there[name, number] += 1
            for name, some in numbers.items():
                if len(set(some)) < len(some) or (order and some != sorted(some)):
                    faults.append(f"a session got {some} of {name}")
        for name, count in self.sent.items():
            lost = [number for number in range(1, count + 1) if not there[name, number]]
            if lost:
                faults.append(f"{lost} of {name} are lost")
        return faults


class MessageScheduleTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Each message arrives once, and those of one sender in their order."""
        for seed in range(40):
            with self.subTest(seed=seed):
                self.assertEqual(MessageSchedule(seed, cuts=False).faults(order=True), [])

    def test_cut(self) -> None:
        """None is lost or comes twice while nodes do not hear each other for a while."""
        for seed in range(40):
            with self.subTest(seed=seed):
                self.assertEqual(MessageSchedule(seed, cuts=True).faults(order=False), [])
